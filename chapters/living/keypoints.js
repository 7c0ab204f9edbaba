// Keypoints of a photo: point to one and see its patch, orientation histogram and descriptor.
"use strict";

living.keypoints ??= (() => {
  const { number, slider, readout, chart, svg, html, place } = living;
  const GRID = 4, DIRECTIONS = 8, CELL_SIGMAS = 3;

  function make({ photo, points }, box) {
    const chosen = slider({ label: "ключевая точка", min: 1, max: points.length, step: 1, value: 1,
      text: (k) => `${k} из ${points.length}`, on: draw });
    const said = readout();
    const rings = points.map(({ x, y, size, angle }) => {
      const turn = (angle * Math.PI) / 180, r = size / 2;
      return svg("path", { class: "ring", d: `M${x + r * Math.cos(turn)} ${y + r * Math.sin(turn)}L${x} ${y}M${x - r} ${y}a${r} ${r} 0 1 0 ${2 * r} 0a${r} ${r} 0 1 0 ${-2 * r} 0` });
    });
    const frame = svg("path", { class: "patch" });
    const picture = svg("svg", { role: "img", class: "living-photo", viewBox: `0 0 ${photo.width} ${photo.height}`,
      "aria-label": `Фотография, на ней ${points.length} ключевых точек` },
      svg("image", { href: photo.src, width: photo.width, height: photo.height }), rings, frame);

    // The patch turned so that the keypoint's own direction looks to the right: what SIFT describes.
    const patch = svg("svg", { role: "img", viewBox: "-2.5 -2.5 5 5", "aria-label": "Окрестность точки с сеткой 4 на 4" });
    const clip = svg("clipPath", { id: "living-patch" }, svg("rect", { x: -2.5, y: -2.5, width: 5, height: 5 }));
    const turned = svg("image", { href: photo.src, width: photo.width, height: photo.height });
    const rays = svg("path", { class: "rays" });
    const lines = [-2, -1, 0, 1, 2].map((e) => `M${e} -2V2M-2 ${e}H2`).join("");
    patch.append(clip, svg("g", { "clip-path": "url(#living-patch)" }, turned), svg("path", { class: "lines", d: lines }),
      rays, svg("path", { class: "axis", d: "M0 0H2M1.7 -0.18L2 0L1.7 0.18" }));

    const point = () => points[chosen.value - 1];
    const orientation = chart(() => ({
      label: "Гистограмма направлений градиента, 36 столбцов",
      height: 190,
      x: { range: [-10, 360], name: "направление α, градусы", at: [0, 90, 180, 270, 360] },
      y: { range: [0, 105], name: "голоса, % наибольшего", at: [0, 50, 80, 100] },
      marks: (X, Y) => [
        point().votes.map((vote, b) => svg("rect", { class: "bar", x: X(10 * b - 4), width: X(8) - X(0), y: Y(vote), height: Y(0) - Y(vote) })),
        svg("line", { class: "limit", x1: X(-10), x2: X(360), y1: Y(80), y2: Y(80) }),
        svg("line", { class: "peak", x1: X((360 - point().angle) % 360), x2: X((360 - point().angle) % 360), y1: Y(0), y2: Y(105) }),
      ],
    }));
    const descriptor = chart(() => ({
      label: "Дескриптор: 128 чисел, 16 клеток по 8 направлений",
      height: 190,
      x: { range: [0, GRID * GRID * DIRECTIONS], name: "четыре ряда клеток", at: [0, 32, 64, 96, 128] },
      y: { range: [0, 260], name: "значение, 0…255", at: [0, 100, 200] },
      marks: (X, Y) => point().descriptor.map((value, k) => svg("rect", {
        class: Math.floor(k / DIRECTIONS) % 2 ? "bar other" : "bar", x: X(k), width: Math.max(1, X(1) - X(0) - 0.4), y: Y(value), height: Y(0) - Y(value) })),
    }));

    function draw() {
      const { x, y, size, angle, descriptor: values } = point(), turn = (angle * Math.PI) / 180;
      const cell = (CELL_SIGMAS * size) / 2, along = [Math.cos(turn) * 2 * cell, Math.sin(turn) * 2 * cell];
      rings.forEach((ring, k) => ring.classList.toggle("chosen", k === chosen.value - 1));
      frame.setAttribute("d", [[1, 1], [1, -1], [-1, -1], [-1, 1]].map(([a, b], k) =>
        `${k ? "L" : "M"}${x + a * along[0] - b * along[1]} ${y + a * along[1] + b * along[0]}`).join("") + "Z");
      turned.setAttribute("transform", `scale(${1 / cell}) rotate(${-angle}) translate(${-x - 0.5} ${-y - 0.5})`);
      const highest = Math.max(...values);
      rays.setAttribute("d", values.map((value, k) => {
        const c = Math.floor(k / DIRECTIONS), way = (2 * Math.PI * (k % DIRECTIONS)) / DIRECTIONS, length = (0.5 * value) / highest;
        const [cx, cy] = [(c % GRID) - 1.5, Math.floor(c / GRID) - 1.5];
        return `M${cx} ${cy}L${cx + length * Math.cos(way)} ${cy - length * Math.sin(way)}`;
      }).join(""));
      orientation.draw();
      descriptor.draw();
      said.say(`Точка ${chosen.value}: x = ${number(x, 1)}, y = ${number(y, 1)}, диаметр ${number(size, 1)} пикселя, направление α = ${number((360 - angle) % 360)}° (в записи OpenCV, где ось y смотрит вниз, ${number(angle)}°); наибольшее число дескриптора ${highest}, нулей ${values.filter((value) => !value).length} из 128.`);
    }

    // The nearest keypoint in units of its own size; a mouse chooses while it moves.
    function pick(event) {
      const [x, y] = place(picture, event);
      const far = points.map((one) => Math.hypot(one.x - x, one.y - y) / (one.size + 12));
      const nearest = far.indexOf(Math.min(...far));
      if (nearest === chosen.value - 1 || (event.type === "pointermove" && far[nearest] > 1)) return;
      chosen.value = nearest + 1;
      draw();
    }
    picture.addEventListener("pointermove", (event) => { if (event.pointerType === "mouse") pick(event); });
    picture.addEventListener("pointerdown", pick);
    const part = (title, content) => html("div", { class: "living-part" }, html("p", { class: "living-title" }, title), content);
    box.append(html("div", { class: "living-pair" }, part("фотография: укажите точку", picture), part("окрестность, повёрнутая", patch)),
      html("div", { class: "living-controls" }, chosen.element), said.element,
      html("div", { class: "living-pair even" }, part("направления", orientation.element), part("дескриптор", descriptor.element)));
    draw();
  }

  living.figure("keypoints", make);
  return {};
})();
