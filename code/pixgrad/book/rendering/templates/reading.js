// Helps to read: what a reference leads to is shown beside it, pictures open in full.
"use strict";

const REFERENCES = 'main a.quarto-xref, main a[role="doc-biblioref"], main a[role="doc-noteref"]';

function startPreviews() {
  const box = $("#preview"), pages = new Map();
  let shown = null, waiting = null, touched = false;

  async function target(link) {
    const address = new URL(link.href), id = decodeURIComponent(address.hash.slice(1));
    const here = address.pathname === location.pathname;
    if (!here && location.protocol === "file:") return null;
    if (!here && !pages.has(address.pathname)) {
      pages.set(address.pathname, fetch(address.pathname).then((answer) => answer.text())
        .then((text) => new DOMParser().parseFromString(text, "text/html")));
    }
    const page = here ? document : await pages.get(address.pathname);
    const found = id ? page.getElementById(id) : $("main", page);
    return found && excerpt(found, here ? document.baseURI : address.href);
  }

  function excerpt(found, address) {
    const parts = found.matches("section, main")
      ? [$(":is(h1, h2, h3, h4)", found), ...$$(":scope > p", found).slice(0, 2)]
      : [found.closest(".callout, .theorem") || found];
    const copies = parts.filter(Boolean).map((part) => part.cloneNode(true));
    for (const copy of copies) {
      for (const extra of $$(".anchorjs-link, .zoom-button, .code-copy-button, details.code-fold, .footnote-back", copy)) extra.remove();
      for (const inner of [copy, ...$$("[id], [tabindex]", copy)]) { inner.removeAttribute("id"); inner.removeAttribute("tabindex"); }
      for (const image of $$("img", copy)) { image.src = new URL(image.getAttribute("src"), address).href; image.loading = "eager"; }
      for (const link of $$("a[href]", copy)) link.replaceWith(...link.childNodes);
    }
    return copies;
  }

  async function show(link) {
    const content = await target(link);
    if (!content || waiting !== link) return;
    shown = link;
    box.replaceChildren(...content);
    if (touched) box.append(make("a", { className: "go", href: link.href, textContent: "Перейти →" }));
    box.hidden = false;
    box.scrollTop = 0;
    link.setAttribute("aria-describedby", "preview");
    place(link);
    $("img", box)?.addEventListener("load", () => shown === link && place(link));
  }

  function place(link) {
    const at = link.getClientRects()[0], width = box.offsetWidth, height = box.offsetHeight;
    const left = Math.min(Math.max(16, at.left - 24), root.clientWidth - width - 16);
    const below = at.bottom + 8 + height < innerHeight || at.top < height + 70;
    box.style.left = `${scrollX + left}px`;
    box.style.top = `${scrollY + (below ? at.bottom + 8 : at.top - height - 8)}px`;
  }

  function hide() {
    waiting = null;
    shown?.removeAttribute("aria-describedby");
    shown = null;
    box.hidden = true;
  }

  let timer = 0;
  const later = (work, pause) => { clearTimeout(timer); timer = setTimeout(work, pause); };
  const want = (link, pause) => { waiting = link; later(() => show(link), pause); };
  const linkOf = (event) => event.target.closest?.(REFERENCES);

  document.addEventListener("pointerover", (event) => {
    if (event.pointerType === "touch") return;
    const link = linkOf(event);
    if (link) want(link, link === shown ? 0 : 200);
    else if (event.target.closest?.("#preview")) clearTimeout(timer);
    else if (waiting) later(hide, 250);
  });
  document.addEventListener("focusin", (event) => {
    const link = linkOf(event);
    if (link && link.matches(":focus-visible")) want(link, 100);
    else if (shown && !event.target.closest("#preview")) hide();
  });
  document.addEventListener("pointerdown", (event) => {
    touched = event.pointerType === "touch";
    if (shown && !linkOf(event) && !event.target.closest("#preview")) hide();
  });
  document.addEventListener("click", (event) => { // the first tap shows, the second goes
    const link = linkOf(event);
    if (link && touched && shown !== link && !(location.protocol === "file:" && link.pathname !== location.pathname)) {
      event.preventDefault();
      want(link, 0);
    } else if (link || event.target.closest("#preview .go")) { clearTimeout(timer); hide(); }
  });
  document.addEventListener("keydown", (event) => { if (event.key === "Escape" && shown) hide(); });
}

function startZoom() {
  const dialog = $("#zoom-dialog"), view = $("#zoom-view"), size = $("#zoom-size");
  const enlarge = (large) => {
    view.classList.toggle("large", large);
    size.setAttribute("aria-pressed", String(large));
  };
  const open = (image) => {
    const caption = image.closest("figure")?.querySelector("figcaption");
    view.replaceChildren(make("img", { src: image.currentSrc || image.src, alt: image.alt, className: image.className.replace("zoomable", "") }));
    $("#zoom-caption").replaceChildren(...(caption ? [...caption.cloneNode(true).childNodes] : []));
    enlarge(false);
    dialog.showModal();
    view.focus();
  };
  for (const image of $$("main figure img, main .cell-output-display img")) {
    if (image.closest("a, button, .cover")) continue;
    const box = image.closest("figure") || image.parentElement;
    box.classList.add("zoom-box");
    image.classList.add("zoomable");
    image.addEventListener("click", () => open(image));
    const button = make("button", { className: "zoom-button", type: "button", textContent: "⤢" });
    button.setAttribute("aria-label", `Увеличить: ${image.alt || "рисунок"}`);
    button.addEventListener("click", () => open(image));
    box.prepend(button);
  }
  size.addEventListener("click", () => enlarge(!view.classList.contains("large")));
  view.addEventListener("click", (event) => { if (event.target.matches("img")) enlarge(!view.classList.contains("large")); });
  dialog.addEventListener("keydown", (event) => {
    if (event.key === "+" || event.key === "=") enlarge(true);
    if (event.key === "-") enlarge(false);
  });
  $("#zoom-close").addEventListener("click", () => dialog.close());
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
}

startPreviews();
startZoom();
