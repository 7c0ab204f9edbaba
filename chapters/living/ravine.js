// Four optimisers in a ravine, computed here step by step as pixgrad.backprop.optimisers does.
"use strict";

living.ravine ??= (() => {
  const { number, scientific, slider, choice, button, readout, chart, line, svg, html, plural } = living;
  const METHODS = {
    sgd: { name: "спуск", color: "var(--living-ink)", dash: "2 3" },
    momentum: { name: "инерция", color: "var(--living-green)", dash: "8 3 2 3" },
    adam: { name: "Adam", color: "var(--living-blue)", dash: null },
    adamax: { name: "AdaMax", color: "var(--living-red)", dash: "7 4" },
  };

  // One step: what to subtract from θ; moments a, b of the coordinate change in place.
  const CHANGES = {
    sgd: (g, s, { lr }) => lr * g,
    momentum(g, s, { lr, beta1 }) {
      s.a = beta1 * s.a + g;
      return lr * s.a;
    },
    adam(g, s, { lr, beta1, beta2 }, t) {
      s.a = beta1 * s.a + (1 - beta1) * g;
      s.b = beta2 * s.b + (1 - beta2) * g * g;
      return (s.a / (Math.sqrt(s.b) / Math.sqrt(1 - beta2 ** t) + 1e-8)) * (lr / (1 - beta1 ** t));
    },
    adamax(g, s, { lr, beta1, beta2 }, t) {
      s.a = beta1 * s.a + (1 - beta1) * g;
      s.b = Math.max(beta2 * s.b, Math.abs(g));
      return s.b ? (s.a / s.b) * (lr / (1 - beta1 ** t)) : 0;
    },
  };

  // The path on f = (x² + κ y²) / 2; it ends early where it diverges.
  function descend(method, settings, { condition, start }, steps) {
    const scales = [1, condition], moments = [{ a: 0, b: 0 }, { a: 0, b: 0 }];
    const path = [[...start]];
    for (let t = 1; t <= steps; t++) {
      const last = path[path.length - 1];
      const next = last.map((x, i) => x - CHANGES[method](scales[i] * x, moments[i], settings, t));
      if (!(Math.max(...next.map(Math.abs)) < 1e6)) break;
      path.push(next);
    }
    return path;
  }

  const value = (point, condition) => (point[0] ** 2 + condition * point[1] ** 2) / 2;

  // The first step after which the value stays below the tolerance, null if there is none.
  function stepsToReach(path, { condition, tolerance, budget }) {
    if (path.length <= budget) return null;
    let above = path.length - 1;
    while (above >= 0 && value(path[above], condition) < tolerance) above -= 1;
    return above === path.length - 1 ? null : above + 1;
  }

  function make(data, box) {
    const settings = Object.fromEntries(Object.entries(data.rates).map(
      ([method, lr]) => [method, { lr, beta1: 0.9, beta2: 0.999 }]));
    const initial = JSON.stringify(settings);
    const rate = slider({ label: "скорость α", min: -4, max: 0.5, step: 0.05, value: -1,
      text: (power) => scientific(10 ** power, 2), on: change });
    const beta1 = slider({ label: "β₁", min: 0, max: 0.99, step: 0.01, value: 0.9, text: (b) => number(b, 2), on: change });
    const beta2 = slider({ label: "β₂", min: 0.3, max: 4, step: 0.1, value: 3,
      text: (nines) => number(1 - 10 ** -nines, 4), on: change });
    const steps = slider({ label: "шагов на рисунке", min: 1, max: 300, step: 1, value: 60, text: number, on: draw });
    const method = choice({ label: "метод", value: "adam", on: choose,
      options: Object.entries(METHODS).map(([key, { name }]) => [key, name]) });
    const said = readout();
    const plot = chart(view);

    function choose() { // the sliders take the values of the chosen method
      const { lr, beta1: first, beta2: second } = settings[method.value];
      rate.value = Math.log10(lr);
      beta1.value = first;
      beta2.value = -Math.log10(1 - second);
      beta1.element.firstChild.textContent = method.value === "momentum" ? "инерция μ" : "β₁";
      beta1.element.hidden = method.value === "sgd";
      beta2.element.hidden = method.value === "sgd" || method.value === "momentum";
      draw();
    }
    function change() {
      settings[method.value] = { lr: 10 ** rate.value, beta1: beta1.value, beta2: 1 - 10 ** -beta2.value };
      draw();
    }
    function reset() {
      Object.assign(settings, JSON.parse(initial));
      steps.value = 60;
      choose();
    }
    function view() {
      return {
        label: `Линии уровня оврага и пути четырёх методов, выделен ${METHODS[method.value].name}`,
        height: 340,
        x: { range: data.x, name: "x" },
        y: { range: data.y, name: "y" },
        marks: (X, Y) => [contours(X, Y), paths(X, Y),
          svg("path", { class: "minimum", d: star(X(0), Y(0), 8) })],
      };
    }
    function contours(X, Y) {
      const levels = [-3, -2, -1, 0, 1, 2].flatMap((p) => [10 ** p, 10 ** (p + 0.5)]);
      return levels.map((level) => {
        const rx = Math.sqrt(2 * level), ry = Math.sqrt((2 * level) / data.condition);
        return svg("ellipse", { class: "contour", cx: X(0), cy: Y(0), rx: X(rx) - X(0), ry: Y(0) - Y(ry) });
      });
    }
    function paths(X, Y) {
      const last = ([one], [two]) => (one === method.value) - (two === method.value);
      return Object.entries(METHODS).sort(last).map(([key, { color, dash }]) => {
        const chosen = key === method.value;
        const points = descend(key, settings[key], data, steps.value).map(([x, y]) => [clamp(X(x)), clamp(Y(y))]);
        return svg("g", { stroke: color, "stroke-width": chosen ? 2.4 : 1.1, opacity: chosen ? 1 : 0.65 },
          line(points, { "stroke-dasharray": dash }),
          chosen ? points.map(([x, y]) => svg("circle", { cx: x, cy: y, r: 2.6, fill: color, stroke: "none" })) : null);
      });
    }
    function draw() {
      plot.draw();
      const path = descend(method.value, settings[method.value], data, data.budget);
      const reached = stepsToReach(path, data), shown = path[steps.value];
      const now = shown
        ? `после ${plural(steps.value, "шага", "шагов", "шагов")} f = ${scientific(value(shown, data.condition), 1)}`
        : `расходится: на шаге ${path.length} точка дальше миллиона`;
      const goal = reached === null
        ? `ниже 10⁻³ не опустился за ${plural(data.budget, "шаг", "шага", "шагов")}`
        : `ниже 10⁻³ остаётся с шага ${reached}`;
      said.say(`${METHODS[method.value].name}, α = ${scientific(settings[method.value].lr, 2)}: ${now}${path.length > data.budget ? `; ${goal}` : ""}.`);
    }
    const key = html("ul", { class: "living-key" }, Object.values(METHODS).map(({ name, color, dash }) =>
      html("li", {}, svg("svg", { width: 30, height: 10, "aria-hidden": "true" },
        svg("line", { x1: 0, x2: 30, y1: 5, y2: 5, stroke: color, "stroke-width": 2.4, "stroke-dasharray": dash })), name)));
    box.append(plot.element, key, said.element,
      html("div", { class: "living-controls" }, method.element, rate.element, beta1.element, beta2.element, steps.element, button("Вернуть исходное", reset)));
    choose();
  }

  const clamp = (pixel) => Math.min(5000, Math.max(-5000, pixel));
  const star = (x, y, r) => Array.from({ length: 10 }, (_, k) => {
    const angle = (Math.PI * k) / 5 - Math.PI / 2, reach = k % 2 ? r * 0.4 : r;
    return `${k ? "L" : "M"}${x + reach * Math.cos(angle)} ${y + reach * Math.sin(angle)}`;
  }).join("") + "Z";

  living.figure("ravine", make);
  return { descend, stepsToReach };
})();
