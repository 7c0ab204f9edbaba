// Living figures: what they share. No library, no request, works from file://.
//
// A cell of a chapter writes <script class="living" data-kind="ravine" data-for="fig-ravine"
// data-payload="{…}"> with the figure's data (pixgrad.plots.living). The module of its kind calls
// living.figure("ravine", make): the still picture in #fig-ravine is hidden and make(data,
// box) fills its place. Without JavaScript, on paper, and if make fails, the still stays.
"use strict";

window.living ??= (() => {
  const SVG = "http://www.w3.org/2000/svg";
  let ids = 0;

  // Elements ------------------------------------------------------------------------------------

  function fill(element, attributes, children) {
    for (const [name, value] of Object.entries(attributes)) {
      if (typeof value === "function") element.addEventListener(name, value);
      else if (value === true) element.setAttribute(name, "");
      else if (value !== false && value != null) element.setAttribute(name, value);
    }
    element.append(...children.flat(Infinity).filter((child) => child != null));
    return element;
  }
  const html = (tag, attributes = {}, ...children) =>
    fill(document.createElement(tag), attributes, children);
  const svg = (tag, attributes = {}, ...children) =>
    fill(document.createElementNS(SVG, tag), attributes, children);

  // Numbers as Russian writes them -----------------------------------------------------------------

  const number = (value, digits = 0) =>
    value.toFixed(digits).replace(/^-(?=[0.]*$)/, "").replace("-", "−").replace(".", ",");
  const superscript = (power) =>
    String(power).replace(/[-\d]/g, (sign) => (sign === "-" ? "⁻" : "⁰¹²³⁴⁵⁶⁷⁸⁹"[sign]));

  function scientific(value, digits = 1) {
    if (!value) return "0";
    let power = Math.floor(Math.log10(Math.abs(value)));
    if (Math.abs(value / 10 ** power).toFixed(digits) >= 10) power += 1;
    if (power >= -2 && power <= 3) return number(value, Math.max(0, digits - power));
    return `${number(value / 10 ** power, digits)}·10${superscript(power)}`;
  }

  function plural(count, one, few, many) {
    const tens = count % 100, units = count % 10;
    const word = tens > 10 && tens < 20 ? many : units === 1 ? one : units > 1 && units < 5 ? few : many;
    return `${number(count)}\u00a0${word}`;
  }

  // Controls ------------------------------------------------------------------------------------

  // Keys that a control uses must not turn the page of the book.
  const keep = (event) => { if (event.key.startsWith("Arrow")) event.stopPropagation(); };

  function slider({ label, min, max, step, value, text, on }) {
    const shown = html("span", { class: "living-value", "aria-hidden": "true" });
    const input = html("input", { type: "range", min, max, step, value, keydown: keep, input: () => { show(); on(); } });
    const show = () => {
      shown.textContent = text(Number(input.value));
      input.setAttribute("aria-valuetext", shown.textContent);
    };
    show();
    return {
      element: html("label", { class: "living-slider" }, html("span", {}, label), shown, input),
      input,
      get value() { return Number(input.value); },
      set value(wanted) { input.value = wanted; show(); },
      limits(low, high) { input.min = low; input.max = high; input.disabled = low === high; show(); },
    };
  }

  function choice({ label, options, value, on }) {
    const name = `living-${++ids}`;
    const inputs = options.map(([option, text]) => {
      const input = html("input", { type: "radio", name, value: option, checked: option === value, keydown: keep, change: on });
      return { input, element: html("label", {}, input, html("span", {}, text)) };
    });
    return {
      element: html("fieldset", { class: "living-choice" }, html("legend", {}, label), inputs.map((one) => one.element)),
      get value() { return options[inputs.findIndex(({ input }) => input.checked)][0]; },
      set value(wanted) { inputs.forEach(({ input }, index) => { input.checked = options[index][0] === wanted; }); },
    };
  }

  const button = (text, on) => html("button", { type: "button", class: "living-button", keydown: keep, click: on }, text);

  // What the figure says now: at once to the eye, to a screen reader when the hand rests.
  function readout() {
    const seen = html("p", { class: "living-readout", "aria-hidden": "true" });
    const spoken = html("p", { class: "living-spoken", role: "status", "aria-live": "polite" });
    let waiting;
    return {
      element: html("div", {}, seen, spoken),
      say(text) {
        seen.textContent = text;
        clearTimeout(waiting);
        waiting = setTimeout(() => { spoken.textContent = text; }, 300);
      },
    };
  }

  // Drawing -------------------------------------------------------------------------------------

  // Calls draw(width) now and whenever the element's width changes: figures reflow, text keeps
  // its size.
  function onWidth(element, draw) {
    let last = 0;
    new ResizeObserver(() => {
      const width = element.clientWidth;
      if (width && width !== last) draw(last = width);
    }).observe(element);
  }

  function ticks([low, high], wanted) {
    const rough = (high - low) / Math.max(1, wanted), unit = 10 ** Math.floor(Math.log10(rough));
    const step = unit * [1, 2, 5, 10].find((one) => one * unit >= rough * 0.999);
    const found = [];
    for (let k = Math.ceil(low / step - 1e-9); k * step <= high + step * 1e-9; k++) found.push(k * step);
    return { values: found, digits: Math.max(0, -Math.floor(Math.log10(step) + 1e-9)) };
  }

  // A plot with axes. view(): { label, height, x, y, marks(X, Y, area) }; an axis is { range, name,
  // powers: true if the range is of decimal logarithms, at: its ticks }.
  function chart(view) {
    const picture = svg("svg", { role: "img" }), element = html("div", { class: "living-chart" }, picture);
    const clip = `living-clip-${++ids}`;
    let width = 0;
    const numbers = (axis, wanted) => {
      const made = ticks(axis.range, wanted);
      if (axis.powers) made.values = made.values.filter((value) => Number.isInteger(value));
      const values = axis.at ?? made.values;
      return values.map((value) => [value, axis.powers ? `10${superscript(value)}` : number(value, axis.at ? axis.digits ?? 0 : made.digits)]);
    };
    function draw() {
      if (!width) return;
      const { label, height, x, y, marks } = view();
      const area = { left: 48, top: 26, right: width - 12, bottom: height - 40 };
      const scale = ([low, high], from, to) => (value) => from + ((value - low) / (high - low)) * (to - from);
      const X = scale(x.range, area.left, area.right), Y = scale(y.range, area.bottom, area.top);
      picture.setAttribute("viewBox", `0 0 ${width} ${height}`);
      picture.setAttribute("height", height);
      picture.setAttribute("aria-label", label);
      const box = { x: area.left, y: area.top, width: area.right - area.left, height: area.bottom - area.top };
      picture.replaceChildren(
        svg("clipPath", { id: clip }, svg("rect", box)),
        ...numbers(y, (area.bottom - area.top) / 45).flatMap(([value, text]) => [
          svg("line", { class: "grid", x1: area.left, x2: area.right, y1: Y(value), y2: Y(value) }),
          svg("text", { x: area.left - 6, y: Y(value) + 4, "text-anchor": "end" }, text),
        ]),
        ...numbers(x, width / 90).flatMap(([value, text]) => [
          svg("line", { class: "grid", x1: X(value), x2: X(value), y1: area.top, y2: area.bottom }),
          svg("text", { x: X(value), y: area.bottom + 17, "text-anchor": "middle" }, text),
        ]),
        svg("text", { class: "name", x: area.left, y: 14 }, y.name),
        svg("text", { class: "name", x: (area.left + area.right) / 2, y: height - 6, "text-anchor": "middle" }, x.name),
        svg("g", { "clip-path": `url(#${clip})` }, marks(X, Y, area)),
        svg("rect", { class: "frame", ...box }),
      );
    }
    onWidth(element, (now) => { width = now; draw(); });
    return { element, draw, picture };
  }

  // A polyline; a point that is null breaks it.
  function line(points, attributes) {
    let d = "", pen = "M";
    for (const point of points) {
      if (point) d += `${pen}${point[0].toFixed(1)} ${point[1].toFixed(1)}`;
      pen = point ? "L" : "M";
    }
    return svg("path", { d, fill: "none", "stroke-linejoin": "round", ...attributes });
  }

  // Where the pointer is in the units of the picture's viewBox.
  function place(picture, event) {
    const box = picture.getBoundingClientRect(), view = picture.viewBox.baseVal;
    return [((event.clientX - box.left) * view.width) / box.width, ((event.clientY - box.top) * view.height) / box.height];
  }

  // Mounting ------------------------------------------------------------------------------------

  function figure(kind, make) {
    const scripts = document.querySelectorAll(`script.living[data-kind="${kind}"]:not([data-done])`);
    for (const script of scripts) {
      script.dataset.done = "";
      // The picture of <figure id>, ours, or of <div id><figure><div aria-describedby>, Quarto's.
      const image = document.getElementById(script.dataset.for)?.querySelector("img, svg, object");
      if (!image) continue;
      const still = image.closest("[aria-describedby], p") ?? image;
      const box = html("div", { class: "living", role: "group", "aria-label": "Интерактивный рисунок" });
      still.before(box);
      try {
        make(JSON.parse(script.dataset.payload), box);
        still.classList.add("living-still");
      } catch (error) {
        box.remove();
        console.error(error);
      }
    }
  }

  return { figure, html, svg, number, scientific, superscript, plural, slider, choice, button, readout, onWidth, chart, line, place };
})();
