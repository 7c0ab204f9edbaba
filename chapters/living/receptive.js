// Receptive fields: a network and a layer are chosen; how large a part of the input a cell sees.
"use strict";

living.receptive ??= (() => {
  const { number, plural, slider, choice, readout, chart, line, svg, html, onWidth } = living;

  // Pixels that the cell in the middle of the input sees along an axis.
  function seen({ low, high, jump }, side) {
    const cell = Math.floor((side - 1 - low - high) / 2 / jump + 0.5);
    return [cell * jump + low, cell * jump + high];
  }

  function make({ networks }, box) {
    const net = choice({ label: "сеть", options: networks.map(({ name }, index) => [index, name]), value: 0, on: change });
    const layer = slider({ label: "слой", min: 1, max: 1, step: 1, value: 1, on: draw,
      text: (index) => `${index} из ${networks[net.value].layers.length}` });
    const said = readout(), plot = chart(view);
    const map = svg("svg", { role: "img" }), frame = html("div", { class: "living-grid" }, html("p", { class: "living-title" }, "вход и поле клетки"), map);
    let width = 0;

    const now = () => {
      const { side, layers } = networks[net.value], [name, low, high, jump] = layers[layer.value - 1];
      return { side, name, low, high, jump, size: high - low + 1 };
    };

    function view() {
      const { name, side, layers } = networks[net.value];
      const sizes = layers.map(([, low, high]) => high - low + 1), top = Math.max(side, ...sizes);
      return {
        label: `Рецептивное поле по слоям: ${name}`,
        height: 260,
        x: { range: [0.5, layers.length + 0.5], name: "номер слоя от входа" },
        y: { range: [0, 1.06 * top], name: "поле, пиксели" },
        marks: (X, Y, area) => [
          svg("line", { class: "limit", x1: area.left, x2: area.right, y1: Y(side), y2: Y(side) }),
          line(sizes.map((size, index) => [X(index + 1), Y(size)]), { stroke: "var(--living-blue)", "stroke-width": 2.2 }),
          svg("circle", { cx: X(layer.value), cy: Y(sizes[layer.value - 1]), r: 5, fill: "var(--living-red)" }),
        ],
      };
    }

    function drawMap() {
      if (!width) return;
      const one = now(), [first, last] = seen(one, one.side);
      const from = Math.min(0, first), to = Math.max(one.side - 1, last), all = Math.min(220, width - 10);
      const unit = all / (to - from + 1), at = (pixel) => (pixel - from) * unit;
      const square = (a, b, look) => svg("rect", { x: 1 + at(a), y: 1 + at(a), width: (b - a + 1) * unit, height: (b - a + 1) * unit, ...look });
      map.setAttribute("viewBox", `0 0 ${all + 2} ${all + 2}`);
      map.setAttribute("width", all + 2);
      map.setAttribute("aria-label", `Вход ${one.side} на ${one.side} и поле ${one.size} на ${one.size}`);
      map.replaceChildren(
        square(0, one.side - 1, { class: "cell pad" }),
        square(first, last, { class: "cell window" }),
        square(first, last, { class: "edge result" }),
        square(0, one.side - 1, { class: "frame" }),
      );
    }

    function change() {
      layer.limits(1, networks[net.value].layers.length);
      layer.value = Math.min(layer.value, networks[net.value].layers.length);
      draw();
    }

    function draw() {
      plot.draw();
      drawMap();
      const one = now(), share = (one.size / one.side) ** 2;
      const area = one.size >= one.side ? `поле больше входа ${one.side}×${one.side}`
        : `это ${number(100 * share, share < 0.095 ? 1 : 0)}\u00a0% входа ${one.side}×${one.side}`;
      said.say(`${networks[net.value].name}, слой ${layer.value} (${one.name}): клетка видит ${one.size}×${one.size} пикселей, ${area}. `
        + `Поле соседней клетки сдвинуто на ${plural(one.jump, "пиксель", "пикселя", "пикселей")}.`);
    }

    box.append(plot.element, html("div", { class: "living-row" }, frame), said.element,
      html("div", { class: "living-controls" }, net.element, layer.element));
    onWidth(box, (wide) => { width = wide; drawMap(); });
    change();
  }

  living.figure("receptive", make);
  return { seen };
})();
