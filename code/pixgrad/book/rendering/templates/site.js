// What the pages need beyond HTML: theme, drawer, tabs, code, anchors, contents, boxes that scroll.
// Without scripts every page still reads whole. search.js and reading.js use what is named here.
// An inline script in <head> sets data-theme and data-code on <html> before the first paint.
"use strict";

const $ = (selector, root = document) => root.querySelector(selector);
const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];
const root = document.documentElement;

function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

function keep(name, value) {
  try { localStorage.setItem(name, value); } catch { /* private mode */ }
}

function startTheme() {
  const button = $("#theme-toggle");
  const show = () => {
    const dark = root.dataset.theme === "dark";
    button.setAttribute("aria-pressed", String(dark));
    button.title = "Тёмная тема";
  };
  button.addEventListener("click", () => {
    root.dataset.theme = root.dataset.theme === "dark" ? "light" : "dark";
    keep("theme", root.dataset.theme);
    show();
  });
  show();
}

function startDrawer() {
  const button = $("#sidebar-toggle"), sidebar = $("#quarto-sidebar"), scrim = $("#scrim");
  const isOpen = () => sidebar.classList.contains("show");
  const set = (open) => {
    sidebar.classList.toggle("show", open);
    button.setAttribute("aria-expanded", String(open));
    scrim.hidden = !open;
    for (const other of [$("main"), $(".nav-footer")]) other.inert = open;
    root.style.overflow = open ? "hidden" : "";
  };
  button.addEventListener("click", () => {
    set(!isOpen());
    if (isOpen()) ($(".active", sidebar) || $("a", sidebar))?.focus();
  });
  scrim.addEventListener("click", () => { set(false); button.focus(); });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && isOpen()) { set(false); button.focus(); }
  });
  matchMedia("(min-width: 62rem)").addEventListener("change", () => isOpen() && set(false));
  const active = $(".sidebar-link.active", sidebar);
  if (active) sidebar.scrollTop = Math.max(0, active.offsetTop - sidebar.clientHeight / 2);
}

function startTabs() {
  for (const tabset of $$(".panel-tabset")) {
    const tabs = $$(".nav-link", tabset);
    const choose = (tab, focus) => {
      for (const other of tabs) {
        const chosen = other === tab;
        other.setAttribute("aria-selected", String(chosen));
        other.tabIndex = chosen ? 0 : -1;
        document.getElementById(other.getAttribute("aria-controls")).hidden = !chosen;
      }
      if (focus) tab.focus();
    };
    tabs.forEach((tab, index) => {
      tab.addEventListener("click", (event) => { event.preventDefault(); choose(tab, false); });
      tab.addEventListener("keydown", (event) => {
        const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
        if (step) choose(tabs[(index + step + tabs.length) % tabs.length], true);
      });
    });
    choose(tabs[0], false);
  }
}

// One switch opens all the folded code of the book and remembers it.
function startCode() {
  const button = $("#code-toggle"), folded = $$("details.code-fold");
  const show = (open) => {
    for (const details of folded) details.open = open;
    button.setAttribute("aria-pressed", String(open));
  };
  if (root.dataset.code === "shown") show(true);
  button.addEventListener("click", () => {
    const open = button.getAttribute("aria-pressed") !== "true";
    const anchor = $$("main section > *").find((element) => element.getBoundingClientRect().bottom > 80);
    const before = anchor?.getBoundingClientRect().top;
    show(open);
    if (anchor) scrollBy(0, anchor.getBoundingClientRect().top - before); // the reader stays in place
    keep("code", open ? "shown" : "folded");
    markScrollables();
  });
}

function startCopyButtons() {
  if (!navigator.clipboard) return; // not offered on pages opened from disk
  for (const block of $$("div.sourceCode")) {
    const button = make("button", { className: "code-copy-button", type: "button", textContent: "Копировать" });
    button.addEventListener("click", async () => {
      const code = $("code", block).cloneNode(true);
      for (const mark of $$(".code-annotation-anchor", code)) mark.remove();
      await navigator.clipboard.writeText(code.textContent);
      button.textContent = "Скопировано";
      setTimeout(() => { button.textContent = "Копировать"; }, 1500);
    });
    block.append(button);
  }
}

function startAnchors() {
  for (const heading of $$("main section[id] > :is(h2, h3, h4)")) {
    const link = make("a", { className: "anchorjs-link", href: `#${heading.parentElement.id}`, textContent: "#" });
    link.setAttribute("aria-label", `Ссылка на раздел «${heading.textContent.trim()}»`);
    heading.append(link);
  }
}

// What scrolls sideways is reached from the keyboard and shows where there is more.
const SCROLLABLE = "main pre, .plot, .table-wrapper, .equation, p:has(> math[display=block])";

function startScrollables() {
  for (const box of $$(SCROLLABLE)) box.addEventListener("scroll", () => markScrollable(box), { passive: true });
  for (const details of $$("main details")) details.addEventListener("toggle", markScrollables);
  addEventListener("resize", markScrollables);
  document.fonts.ready.then(markScrollables); // formulas grow when their font arrives
  markScrollables();
}

function markScrollables() {
  const boxes = $$(SCROLLABLE).map((box) => [box, box.scrollWidth - box.clientWidth, box.scrollLeft]);
  for (const [box, hidden, passed] of boxes) mark(box, hidden, passed);
}

function markScrollable(box) { mark(box, box.scrollWidth - box.clientWidth, box.scrollLeft); }

function mark(box, hidden, passed) {
  const scrolls = hidden > 1;
  if (scrolls) box.tabIndex = 0; else box.removeAttribute("tabindex");
  box.classList.toggle("scrolls", scrolls);
  box.classList.toggle("more-left", scrolls && passed > 1);
  box.classList.toggle("more-right", scrolls && passed < hidden - 1);
}

function startContents() {
  const box = $("#page-contents");
  const links = new Map($$("#TOC a").map((a) => [decodeURIComponent(a.hash.slice(1)), a]));
  const targets = [...links.keys()].map((id) => document.getElementById(id)).filter(Boolean);
  if (!targets.length) return;
  const wide = matchMedia("(min-width: 80rem)");
  wide.addEventListener("change", () => { box.open = wide.matches; });
  for (const link of links.values()) link.addEventListener("click", () => { if (!wide.matches) box.open = false; });
  let asked = false;
  const look = () => {
    asked = false;
    const passed = targets.filter((target) => target.getBoundingClientRect().top < 120);
    const current = passed.at(-1) || targets[0];
    for (const [id, link] of links) {
      const here = id === current.id;
      if (here && !link.classList.contains("active")) reveal(link, box);
      link.classList.toggle("active", here);
      if (here) link.setAttribute("aria-current", "true"); else link.removeAttribute("aria-current");
    }
    box.classList.toggle("covered", wide.matches && isCovered(box));
  };
  const ask = () => { if (!asked) { asked = true; requestAnimationFrame(look); } };
  for (const event of ["scroll", "resize", "toggle"]) document.addEventListener(event, ask, { passive: true, capture: true });
  addEventListener("resize", ask);
  look();
}

function reveal(link, box) { // in the contents' own box only
  const top = link.offsetTop - box.offsetTop;
  if (top < box.scrollTop || top > box.scrollTop + box.clientHeight - 40) box.scrollTop = top - box.clientHeight / 2;
}

function isCovered(box) { // by a wide table, figure, formula or piece of code
  const place = box.getBoundingClientRect();
  return $$(".table-wrapper, .equation, div.sourceCode, figure:has(img.wide), .column-margin, .aside, .findings, .cell-output > pre, .wide-figure").some((other) => {
    if (!other.checkVisibility()) return false; // folded
    const { right, top, bottom } = other.getBoundingClientRect();
    return right > place.left && top < place.bottom && bottom > place.top && bottom > top;
  });
}

// Left and right arrows turn pages while nothing has the focus.
function startPaging() {
  document.addEventListener("keydown", (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return;
    if (document.activeElement !== document.body || $("dialog[open]")) return;
    const side = { ArrowLeft: "previous", ArrowRight: "next" }[event.key];
    if (side) $(`.nav-page-${side} a`)?.click();
  });
}

for (const start of [startTheme, startDrawer, startTabs, startCode, startCopyButtons, startAnchors,
  startScrollables, startContents, startPaging]) start();
