// A convolution step by step: where the kernel stands and which sum it gives.
"use strict";

living.convolution ??= (() => {
  const { number, slider, choice, button, readout, onWidth, svg, html, place } = living;

  // Cross-correlation of one channel, as pixgrad.backprop.Conv2d without bias.
  function correlate(image, kernel, { stride, padding, dilation }) {
    const size = outputSize(image.length, kernel.length, { stride, padding, dilation });
    const across = outputSize(image[0].length, kernel[0].length, { stride, padding, dilation });
    const at = (row, column) => image[row]?.[column] ?? 0;
    return Array.from({ length: size }, (_, i) => Array.from({ length: across }, (_, j) =>
      kernel.reduce((sum, weights, k) => weights.reduce((inner, weight, l) =>
        inner + weight * at(i * stride + k * dilation - padding, j * stride + l * dilation - padding), sum), 0)));
  }

  const outputSize = (size, kernel, { stride, padding, dilation }) =>
    Math.floor((size + 2 * padding - dilation * (kernel - 1) - 1) / stride) + 1;

  function make({ image, kernel, stride, padding, dilation, place: shown }, box) {
    let output = correlate(image, kernel, { stride, padding, dilation }), timer, width = 0;
    const options = (values) => values.map((value) => [value, String(value)]);
    const controls = {
      stride: choice({ label: "шаг s", options: options([1, 2, 3]), value: stride, on: change }),
      padding: choice({ label: "дополнение p", options: options([0, 1, 2]), value: padding, on: change }),
      dilation: choice({ label: "растяжение d", options: options([1, 2]), value: dilation, on: change }),
    };
    const position = slider({ label: "точка выхода", min: 0, max: 1, step: 1, value: 0, on: draw,
      text: (index) => `строка ${1 + Math.floor(index / output[0].length)}, столбец ${1 + (index % output[0].length)}` });
    const formula = html("p", { class: "living-note" });
    const said = readout();
    const grids = [["вход", "living-input"], ["ядро", "living-kernel"], ["выход", "living-output"]].map(([name, kind]) => {
      const picture = svg("svg", { role: "img", class: kind });
      return { name, picture, element: html("div", { class: "living-grid" }, html("p", { class: "living-title" }, name), picture) };
    });
    const row = html("div", { class: "living-row" }, grids.map(({ element }) => element));

    const settings = () => ({ stride: controls.stride.value, padding: controls.padding.value, dilation: controls.dilation.value });

    function change() {
      output = correlate(image, kernel, settings());
      position.limits(0, output.length * output[0].length - 1);
      const { stride: s, padding: p, dilation: d } = settings();
      formula.textContent = `Размер выхода: ⌊(${image.length} + 2·${p} − ${d}·(${kernel.length} − 1) − 1) / ${s}⌋ + 1 = ${output.length}.`;
      draw();
    }

    function draw() {
      if (!width) return;
      const { stride: s, padding: p, dilation: d } = settings();
      const [i, j] = [Math.floor(position.value / output[0].length), position.value % output[0].length];
      const window = new Set(), terms = [];
      kernel.forEach((weights, k) => weights.forEach((weight, l) => {
        const r = i * s + k * d - p, c = j * s + l * d - p;
        window.add(`${r},${c}`);
        const pixel = image[r]?.[c] ?? 0;
        terms.push(`${number(pixel)}·${weight < 0 ? `(${number(weight)})` : number(weight)}`);
      }));
      // One side of a cell for the three, so that all stand in a row where there is room.
      const padded = image.length + 2 * p, columns = padded + kernel.length + output.length;
      const inRow = width >= 520;
      const side = Math.min(34, inRow ? (width - 60) / columns : (width - 8) / padded);
      grid(grids[0].picture, side, padded, (r, c) => {
        const inside = image[r - p]?.[c - p];
        return { value: inside ?? 0, kind: (inside === undefined ? "pad " : "") + (window.has(`${r - p},${c - p}`) ? "window" : "") };
      });
      grid(grids[1].picture, side, kernel.length, (r, c) => ({ value: kernel[r][c], kind: "window" }));
      grid(grids[2].picture, side, output.length, (r, c) => ({ value: output[r][c], kind: r === i && c === j ? "result" : "", wide: true }));
      grids.forEach(({ name, picture }, index) => picture.setAttribute("aria-label",
        `${name}: ${index ? (index === 1 ? kernel.length : output.length) : padded} на ${index ? (index === 1 ? kernel.length : output.length) : padded}`));
      said.say(`Выход в строке ${i + 1}, столбце ${j + 1}: ${terms.join(" + ")} = ${number(output[i][j])}.`);
    }

    function grid(picture, side, count, cell) {
      picture.setAttribute("viewBox", `-1 -1 ${count * side + 2} ${count * side + 2}`);
      picture.setAttribute("width", count * side + 2);
      const cells = [];
      for (let r = 0; r < count; r++) for (let c = 0; c < count; c++) {
        const { value, kind } = cell(r, c);
        cells.push(svg("rect", { class: `cell ${kind}`, x: c * side, y: r * side, width: side, height: side }),
          svg("text", { class: `digit ${kind}`, x: (c + 0.5) * side, y: (r + 0.5) * side, dy: "0.35em", "text-anchor": "middle",
            style: `font-size: ${Math.max(9, side * (number(value).length > 2 ? 0.36 : 0.46))}px` }, number(value)));
      }
      picture.replaceChildren(...cells, ...cells.filter((one) => /window|result/.test(one.getAttribute("class")) && one.tagName === "rect").map((one) => {
        const edge = one.cloneNode();
        edge.setAttribute("class", `edge ${/result/.test(one.getAttribute("class")) ? "result" : ""}`);
        return edge;
      }));
    }

    // A click or a tap on a cell of the output takes the kernel there.
    grids[2].picture.addEventListener("pointerdown", (event) => {
      const [x, y] = place(grids[2].picture, event), count = output.length;
      const side = grids[2].picture.viewBox.baseVal.width / count;
      const [r, c] = [y, x].map((at) => Math.min(count - 1, Math.max(0, Math.floor(at / side))));
      position.value = r * output[0].length + c;
      draw();
    });

    const play = button("Пройти", () => (timer ? stop() : start()));
    function start() {
      if (position.value === Number(position.input.max)) position.value = 0;
      play.textContent = "Остановить";
      timer = setInterval(() => {
        if (position.value === Number(position.input.max)) return stop();
        position.value += 1;
        draw();
      }, 500);
      draw();
    }
    function stop() {
      clearInterval(timer);
      timer = null;
      play.textContent = "Пройти";
    }
    const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
    box.append(row, said.element, html("div", { class: "living-controls" }, position.element, still ? null : play,
      Object.values(controls).map(({ element }) => element)), formula);
    onWidth(box, (now) => { width = now; draw(); });
    change();
    position.value = shown[0] * output[0].length + shown[1];
    draw();
  }

  living.figure("convolution", make);
  return { correlate };
})();
