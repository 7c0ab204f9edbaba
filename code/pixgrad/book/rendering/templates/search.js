// The search dialog: Pagefind finds sections by word forms; a word that is not in the book gets a
// suggestion. Keys: / or Ctrl+K opens, arrows choose, Enter goes, Escape closes.
"use strict";

function startSearch() {
  const dialog = $("#search-dialog"), input = $("#search-input");
  const status = $("#search-status"), list = $("#search-results");
  const base = $('meta[name="site-root"]').content;
  const address = (path) => new URL(`${base}pagefind/${path}`, document.baseURI).href;
  let engine = null, words = null, latest = 0;

  async function load() {
    if (location.protocol === "file:") return null;
    const found = await import(address("pagefind.js"));
    await found.options({ excerptLength: 22, ranking: { termSimilarity: 2 } });
    return found;
  }

  async function open() {
    if (!dialog.open) dialog.showModal();
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
    const number = ++latest, query = input.value.trim();
    if (!engine || !query) return show([]);
    const answer = await engine.search(query);
    const pages = await Promise.all(answer.results.slice(0, 8).map((result) => result.data()));
    const hits = pages.flatMap(sections).filter((hit) => fits(query, hit.excerpt));
    const suggestion = hits.length ? null : await suggest(query);
    if (number !== latest) return; // a newer query overtook this one
    show(hits);
    status.textContent = hits.length ? `Найдено мест: ${hits.length}` : "Ничего не найдено.";
    if (suggestion) {
      const button = make("button", { type: "button", textContent: suggestion });
      button.addEventListener("click", () => { input.value = suggestion; input.focus(); search(); });
      status.append(" Может быть, ", button, "?");
    }
  }

  function sections(page) {
    const parts = page.sub_results.length ? page.sub_results.slice(0, 3) : [page];
    return parts.map((part) => ({ ...part, page: page.meta.title }));
  }

  // Pagefind also offers words that merely begin like the query: «x» for «xyz».
  function fits(query, excerpt) {
    const asked = query.toLowerCase().split(/\s+/).map((word) => word.replaceAll("ё", "е"));
    const marked = [...excerpt.matchAll(/<mark>(.*?)<\/mark>/g)].map((found) => found[1].toLowerCase().replaceAll("ё", "е"));
    if (!marked.length) return true;
    return asked.some((word) => marked.some((mark) => {
      const wanted = Math.min(word.length, Math.max(3, Math.ceil(word.length * 0.6)));
      return mark.replace(/^[^\p{L}\p{N}]+/u, "").startsWith(word.slice(0, wanted));
    }));
  }

  async function suggest(query) {
    words ??= await fetch(address("words.json")).then((answer) => answer.json());
    const known = new Set(words);
    const better = query.toLowerCase().split(/\s+/).map((word) => (known.has(word) ? word : nearest(word)));
    return better.every(Boolean) ? better.join(" ") : null;
  }

  function nearest(word) { // the words come in the order of how often they are used
    const allowed = word.length < 6 ? 1 : 2;
    let best = null, least = allowed + 1;
    for (const other of words) {
      if (Math.abs(other.length - word.length) > allowed) continue;
      const far = distance(word, other, least);
      if (far < least) [best, least] = [other, far];
    }
    return best;
  }

  function distance(a, b, limit) { // Levenshtein, given up at the limit
    let row = [...Array(b.length + 1).keys()];
    for (let i = 1; i <= a.length; i += 1) {
      const next = [i];
      for (let j = 1; j <= b.length; j += 1) {
        next[j] = Math.min(row[j] + 1, next[j - 1] + 1, row[j - 1] + (a[i - 1] !== b[j - 1]));
      }
      if (Math.min(...next) >= limit) return limit;
      row = next;
    }
    return row[b.length];
  }

  function show(hits) {
    list.replaceChildren(...hits.map((hit, index) => {
      const link = make("a", { className: "search-hit", href: hit.url, id: `hit-${index}`, tabIndex: -1 });
      link.setAttribute("role", "option");
      link.append(make("strong", { textContent: hit.title || hit.page }));
      if (hit.title && hit.title !== hit.page) link.append(make("small", { textContent: hit.page }));
      const excerpt = make("span");
      excerpt.innerHTML = hit.excerpt; // Pagefind escapes all but its own <mark>
      link.append(excerpt);
      link.addEventListener("click", () => dialog.close());
      return link;
    }));
    input.setAttribute("aria-expanded", String(hits.length > 0));
    choose(hits.length ? 0 : -1);
  }

  function choose(index) {
    const links = $$(".search-hit", list);
    links.forEach((link, place) => link.setAttribute("aria-selected", String(place === index)));
    if (links[index]) {
      input.setAttribute("aria-activedescendant", links[index].id);
      links[index].scrollIntoView({ block: "nearest" });
    } else input.removeAttribute("aria-activedescendant");
  }

  input.addEventListener("keydown", (event) => {
    const links = $$(".search-hit", list);
    const current = links.findIndex((link) => link.getAttribute("aria-selected") === "true");
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step && links.length) {
      event.preventDefault();
      choose((current + step + links.length) % links.length);
    } else if (event.key === "Enter" && links[current]) {
      event.preventDefault();
      links[current].click();
    }
  });
  $("#search-button").addEventListener("click", open);
  $("#search-close").addEventListener("click", () => dialog.close());
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
  input.addEventListener("input", search);
  document.addEventListener("keydown", (event) => {
    const typing = event.target.closest("input, textarea, select");
    const asked = event.key === "/" ? !typing : (event.ctrlKey || event.metaKey) && event.code === "KeyK";
    if (asked && !$("dialog[open]")) { event.preventDefault(); open(); }
  });
}

startSearch();
