// Matches of two views: which of them a ratio threshold lets through, and how many are right.
"use strict";

living.matches ??= (() => {
  const { number, plural, slider, readout, chart, line, svg, html, onWidth } = living;
  const CORRECT = 1, POSSIBLE = 2;
  const RIGHT = "#6fc8ff", WRONG = "#ff7a2f"; // over photos, whatever the theme

  // Precision and recall of the matches whose ratio is below threshold / 1000; null where undefined.
  function scores({ ratio, flags }, threshold) {
    let accepted = 0, correct = 0, possible = 0;
    ratio.forEach((r, k) => {
      if (flags[k] & POSSIBLE) possible += 1;
      if (r >= threshold) return;
      accepted += 1;
      if (flags[k] & CORRECT) correct += 1;
    });
    return { accepted, correct, possible, precision: accepted ? correct / accepted : null, recall: possible ? correct / possible : null };
  }

  function make(data, box) {
    const ratio = slider({ label: "порог отношения t", min: 400, max: 1000, step: 10, value: 1000 * data.threshold,
      text: (t) => number(t / 1000, 2), on: draw });
    const said = readout();
    const picture = svg("svg", { role: "img" });
    const photos = html("div", { class: "living-photos" }, picture);
    const thresholds = Array.from({ length: 61 }, (_, k) => 400 + 10 * k);
    const curve = thresholds.map((t) => scores(data, t));
    const [one, two] = data.photos;
    const plot = chart(() => ({
      label: "Точность и полнота в зависимости от порога",
      height: 210,
      x: { range: [0.4, 1], name: "порог t" },
      y: { range: [0, 1], name: "точность и полнота", at: [0, 0.5, 1], digits: 1 },
      marks(X, Y) {
        const points = (key) => curve.map((score, k) => score[key] === null ? null : [X(thresholds[k] / 1000), Y(score[key])]);
        const now = scores(data, ratio.value), x = X(ratio.value / 1000);
        const dot = (key, color) => now[key] === null ? null : svg("circle", { cx: x, cy: Y(now[key]), r: 5, fill: color });
        return [svg("line", { class: "cursor", x1: x, x2: x, y1: Y(0), y2: Y(1) }),
          line(points("precision"), { stroke: "var(--living-blue)", "stroke-width": 2.2 }),
          line(points("recall"), { stroke: "var(--living-red)", "stroke-width": 2.2, "stroke-dasharray": "7 4" }),
          dot("precision", "var(--living-blue)"), dot("recall", "var(--living-red)"),
          svg("text", { x: X(0.41), y: Y(curve[1].precision) + 16 }, "точность"),
          svg("text", { x: X(0.41), y: Y(curve[1].recall) + 18 }, "полнота")];
      },
    }));
    let stacked = false, width = 0;

    function draw() {
      plot.draw();
      const now = scores(data, ratio.value), share = (value) => (value === null ? "не определена" : `${number(100 * value, 1)} %`);
      said.say(`Порог ${number(ratio.value / 1000, 2)}: принято ${plural(now.accepted, "соответствие", "соответствия", "соответствий")} из ${number(data.ratio.length)}, верных ${number(now.correct)}; точность ${share(now.precision)}, полнота ${share(now.recall)}.`);
      if (!width) return;
      const gap = 8, shift = stacked ? [0, one.height + gap] : [one.width + gap, 0];
      const size = stacked ? [Math.max(one.width, two.width), one.height + gap + two.height]
        : [one.width + gap + two.width, Math.max(one.height, two.height)];
      picture.setAttribute("viewBox", `0 0 ${size.join(" ")}`);
      picture.setAttribute("aria-label", `Два вида одной сцены, между ними ${plural(now.accepted, "линия", "линии", "линий")}`);
      const unit = size[0] / width; // one pixel of the screen
      const drawn = (right) => data.ratio.map((r, k) => r < ratio.value && Boolean(data.flags[k] & CORRECT) === right
        ? `M${data.x1[k]} ${data.y1[k]}L${data.x2[k] + shift[0]} ${data.y2[k] + shift[1]}` : "").join("");
      const look = { fill: "none", "stroke-width": 1.1 * unit, "stroke-linecap": "round" };
      picture.replaceChildren(
        svg("image", { href: one.src, width: one.width, height: one.height }),
        svg("image", { href: two.src, x: shift[0], y: shift[1], width: two.width, height: two.height }),
        svg("path", { d: drawn(true), stroke: RIGHT, class: "right", opacity: 0.6, ...look }),
        svg("path", { d: drawn(false), stroke: WRONG, class: "wrong", "stroke-dasharray": `${5 * unit} ${3 * unit}`, ...look }));
    }
    onWidth(photos, (now) => { width = now; stacked = now < 520; draw(); });
    const item = (color, dash, text) => html("li", {}, svg("svg", { width: 30, height: 10, "aria-hidden": "true" },
      svg("line", { x1: 0, x2: 30, y1: 5, y2: 5, stroke: color, "stroke-width": 2.4, "stroke-dasharray": dash })), text);
    box.append(photos, html("ul", { class: "living-key" }, item("var(--living-blue)", null, "верные"), item("var(--living-red)", "7 4", "неверные")),
      html("div", { class: "living-controls" }, ratio.element), said.element, plot.element);
    draw();
  }

  living.figure("matches", make);
  return { scores };
})();
