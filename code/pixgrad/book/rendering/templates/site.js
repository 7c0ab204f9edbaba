// What the pages need beyond HTML: theme, drawer, tabs, copy buttons, contents marker, search.
// Without this script every page still reads whole.
// It expects of page.html.j2: <meta name="site-root" content="../">, #theme-toggle, #sidebar-toggle
// (aria-controls="quarto-sidebar"), #search-button, <dialog id="search-dialog"> with #search-input,
// #search-close, #search-status (aria-live) and <ol id="search-results">; an inline script in <head>
// sets data-theme on <html> before the first paint (stored choice, else prefers-color-scheme).
"use strict";

const $ = (selector, root = document) => root.querySelector(selector);
const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];
const root = document.documentElement;

function startTheme() {
  const button = $("#theme-toggle");
  const show = () => {
    const dark = root.dataset.theme === "dark";
    button.setAttribute("aria-pressed", String(dark));
    button.setAttribute("aria-label", dark ? "Светлая тема" : "Тёмная тема");
    button.title = button.getAttribute("aria-label");
  };
  button.addEventListener("click", () => {
    root.dataset.theme = root.dataset.theme === "dark" ? "light" : "dark";
    try { localStorage.setItem("theme", root.dataset.theme); } catch { /* private mode */ }
    show();
  });
  show();
}

function startDrawer() {
  const button = $("#sidebar-toggle"), sidebar = $("#quarto-sidebar");
  const set = (open) => {
    sidebar.classList.toggle("show", open);
    button.setAttribute("aria-expanded", String(open));
  };
  button.addEventListener("click", () => {
    const open = !sidebar.classList.contains("show");
    set(open);
    if (open) $("a", sidebar)?.focus();
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && sidebar.classList.contains("show")) { set(false); button.focus(); }
  });
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

function startCopyButtons() {
  if (!navigator.clipboard) return; // not offered on pages opened from disk
  for (const block of $$("div.sourceCode")) {
    const button = document.createElement("button");
    button.className = "code-copy-button";
    button.type = "button";
    button.textContent = "Копировать";
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText($("code", block).innerText);
      button.textContent = "Скопировано";
      setTimeout(() => { button.textContent = "Копировать"; }, 1500);
    });
    block.append(button);
  }
}

// What scrolls sideways must be reachable from the keyboard.
function startScrollables() {
  markScrollables();
  document.fonts.ready.then(markScrollables); // formulas grow when their font arrives
}

function markScrollables() {
  for (const box of $$("pre, .table-wrapper, .equation, p:has(> math[display=block])")) {
    if (box.scrollWidth > box.clientWidth) box.tabIndex = 0;
  }
}

function startContents() {
  const links = new Map($$("#TOC a").map((a) => [decodeURIComponent(a.hash.slice(1)), a]));
  const targets = [...links.keys()].map((id) => document.getElementById(id)).filter(Boolean);
  if (!targets.length) return;
  const mark = () => {
    const passed = targets.filter((target) => target.getBoundingClientRect().top < 120);
    const current = passed.length ? passed[passed.length - 1] : targets[0];
    for (const [id, link] of links) {
      const here = id === current.id;
      link.classList.toggle("active", here);
      if (here) link.setAttribute("aria-current", "true"); else link.removeAttribute("aria-current");
    }
  };
  document.addEventListener("scroll", () => requestAnimationFrame(mark), { passive: true });
  mark();
}

function startSearch() {
  const dialog = $("#search-dialog"), input = $("#search-input");
  const status = $("#search-status"), list = $("#search-results");
  const base = $('meta[name="site-root"]').content;
  let engine = null, latest = 0;

  async function load() {
    if (location.protocol === "file:") return null;
    const found = await import(new URL(`${base}pagefind/pagefind.js`, document.baseURI).href);
    await found.options({ excerptLength: 24 });
    return found;
  }

  async function open() {
    dialog.showModal();
    input.select();
    if (engine) return;
    status.textContent = "Готовим поиск…";
    try { engine = await load(); } catch { engine = null; }
    status.textContent = engine
      ? "Введите слово: словоформы найдутся сами."
      : "Поиск работает, когда сайт открыт через сервер: python3 -m http.server в папке _book.";
    if (engine && input.value) search();
  }

  async function search() {
    const number = ++latest, words = input.value.trim();
    if (!engine || !words) { list.replaceChildren(); return; }
    const found = await engine.search(words);
    const pages = await Promise.all(found.results.slice(0, 8).map((result) => result.data()));
    if (number !== latest) return; // a newer query overtook this one
    status.textContent = pages.length ? `Страниц найдено: ${found.results.length}` : "Ничего не найдено.";
    list.replaceChildren(...pages.flatMap(resultItems));
  }

  function resultItems(page) {
    const parts = page.sub_results.length ? page.sub_results.slice(0, 3) : [page];
    return parts.map((part) => {
      const item = document.createElement("li"), link = document.createElement("a");
      link.href = part.url;
      link.textContent = part.title && part.title !== page.meta.title
        ? `${page.meta.title} — ${part.title}` : page.meta.title;
      const excerpt = document.createElement("p");
      excerpt.innerHTML = part.excerpt; // Pagefind escapes all but its own <mark>
      item.append(link, excerpt);
      return item;
    });
  }

  $("#search-button").addEventListener("click", open);
  $("#search-close").addEventListener("click", () => dialog.close());
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
  input.addEventListener("input", search);
  document.addEventListener("keydown", (event) => {
    const typing = event.target.closest("input, textarea, select");
    if (event.key === "/" && !typing && !dialog.open) { event.preventDefault(); open(); }
  });
}

// Left and right arrows turn pages, unless something else on the page wants them.
function startPaging() {
  document.addEventListener("keydown", (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return;
    if (event.target.closest("input, [role=tab], [tabindex='0'], dialog")) return;
    const side = { ArrowLeft: "previous", ArrowRight: "next" }[event.key];
    if (side) $(`.nav-page-${side} a`)?.click();
  });
}

for (const start of [startTheme, startDrawer, startTabs, startCopyButtons, startScrollables,
  startContents, startSearch, startPaging]) start();
