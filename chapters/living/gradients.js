// Norms of gradients by layer: a network is chosen by four switches, the epoch by a slider.
"use strict";

living.gradients ??= (() => {
  const { number, scientific, plural, slider, choice, readout, chart, line, svg, html } = living;
  const LOOK = {
    true: { color: "var(--living-blue)", dash: null, name: "с пропускными связями" },
    false: { color: "var(--living-red)", dash: "7 4", name: "без пропускных связей" },
  };

  // lg of the geometric means of the first and of the last third of the layers, one less the other.
  function earlyToLate(logs) {
    const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;
    const early = logs.filter((log, k) => log !== null && k + 1 <= logs.length / 3);
    const late = logs.filter((log, k) => log !== null && k + 1 > (2 * logs.length) / 3);
    return early.length && late.length ? mean(early) - mean(late) : null;
  }

  const times = (factor) => {
    if (factor < 9.95) return `${number(factor, 1)} раза`;
    return factor < 1e4 ? plural(Math.round(factor), "раз", "раза", "раз") : `${scientific(factor, 0)} раз`;
  };

  function make({ networks }, box) {
    const of = (name) => [...new Set(networks.map((one) => one[name]))];
    const depth = choice({ label: "слоёв", options: of("depth").sort((a, b) => a - b).map((d) => [d, String(d)]), value: 56, on: change });
    const yes = [[true, "есть"], [false, "нет"]];
    const skip = choice({ label: "пропускные связи", options: yes, value: false, on: change });
    const norm = choice({ label: "нормализация", options: yes, value: true, on: change });
    const init = choice({ label: "начальные веса", options: [["he", "Хе"], ["default", "PyTorch"]], value: "he", on: change });
    const epoch = slider({ label: "эпоха", min: 0, max: 1, step: 1, value: 0, on: draw,
      text: (index) => { const e = chosen(skip.value)?.epochs[index]; return e ? String(e) : "до обучения"; } });
    const said = readout();
    const plot = chart(view);

    function chosen(withSkip) {
      return networks.find((one) => one.depth === depth.value && one.skip === withSkip
        && one.batch_norm === norm.value && one.init === init.value);
    }
    // The layers of a network at the epoch that the slider shows.
    function now(withSkip) {
      const index = chosen(withSkip)?.epochs.indexOf(chosen(skip.value)?.epochs[epoch.value]);
      return index >= 0 ? chosen(withSkip).logs[index] : null;
    }
    function view() {
      const all = [true, false].flatMap((one) => chosen(one)?.logs ?? []).flat().filter((log) => log !== null);
      const low = Math.floor(Math.min(...all, 0)), high = Math.ceil(Math.max(...all, low + 1));
      return {
        label: `Норма градиента весов по слоям, ${plural(depth.value, "слой", "слоя", "слоёв")}`,
        height: 320,
        x: { range: [0.5, depth.value + 0.5], name: "номер слоя от входа" },
        y: { range: [low, high], name: "норма градиента весов", powers: true },
        marks: (X, Y) => [!skip.value, skip.value].map((one) => {
          const { color, dash } = LOOK[one], isChosen = one === skip.value, layers = now(one);
          if (!layers) return null;
          const points = layers.map((log, k) => (log === null ? null : [X(k + 1), Y(log)]));
          return svg("g", { stroke: color, "stroke-width": isChosen ? 2.6 : 1.2, opacity: isChosen ? 1 : 0.7 },
            line(points, { "stroke-dasharray": dash }),
            isChosen ? points.filter(Boolean).map(([x, y]) => svg("circle", { cx: x, cy: y, r: 2.8, fill: color, stroke: "none" })) : null);
        }),
      };
    }
    function change() {
      epoch.limits(0, (chosen(skip.value)?.epochs.length ?? 1) - 1);
      draw();
    }
    function draw() {
      plot.draw();
      const layers = now(skip.value), one = chosen(skip.value);
      if (!layers) return said.say("Такой сети в опыте нет.");
      const at = one.epochs[epoch.value], when = at ? `эпоха ${at}` : "до обучения";
      const ratio = earlyToLate(layers);
      const words = ratio === null ? "отношение не определено: нормы меньше наименьшего числа"
        : `первая треть слоёв получает в ${times(10 ** Math.abs(ratio))} ${ratio > 0 ? "больше" : "меньше"} последней`;
      const trained = one.epochs.length > 1 ? "" : " Эту сеть не обучали.";
      said.say(`${skip.value ? "ResNet" : "Обычная"}-${depth.value}, ${when}: ${words}.${trained}`);
    }
    const item = ({ color, dash, name }) => html("li", {}, svg("svg", { width: 30, height: 10, "aria-hidden": "true" },
      svg("line", { x1: 0, x2: 30, y1: 5, y2: 5, stroke: color, "stroke-width": 2.4, "stroke-dasharray": dash })), name);
    box.append(plot.element, html("ul", { class: "living-key" }, item(LOOK.true), item(LOOK.false)), said.element,
      html("div", { class: "living-controls" }, epoch.element, depth.element, skip.element, norm.element, init.element));
    change();
  }

  living.figure("gradients", make);
  return { earlyToLate };
})();
