// Only in `pixgrad preview`: loads the page again when it has changed, in the same place, and shows
// what is wrong with the book. A hidden page does not listen: browsers allow six streams a site.
(() => {
  const { page, since } = document.currentScript.dataset;
  const STORE = `pixgrad-place ${page}`;
  const PLACES = "main :is(p, li, h1, h2, h3, h4, h5, h6, pre, figure, table, math, dt, dd)";
  const HEADER = 60; // pixels that the head of the page covers
  let stream;

  // The first things in sight, by their text: what is edited above them does not move them.
  const remember = () => {
    const seen = [...document.querySelectorAll(PLACES)]
      .map((one) => ({ text: one.textContent, top: one.getBoundingClientRect().top, height: one.offsetHeight }))
      .filter(({ text, top, height }) => text.trim() && top + height > HEADER && top < innerHeight);
    sessionStorage.setItem(STORE, JSON.stringify({ seen: seen.slice(0, 12), top: scrollY }));
  };

  const restore = ({ seen, top }) => {
    const now = [...document.querySelectorAll(PLACES)];
    for (const one of seen) {
      const same = now.filter((other) => other.textContent === one.text);
      if (same.length === 1) {
        scrollBy({ top: same[0].getBoundingClientRect().top - one.top, behavior: "instant" });
        return;
      }
    }
    scrollTo({ top, behavior: "instant" });
  };

  const kept = sessionStorage.getItem(STORE);
  sessionStorage.removeItem(STORE);
  if (kept) {
    history.scrollRestoration = "manual";
    const place = JSON.parse(kept);
    const again = () => restore(place);
    again();
    addEventListener("load", () => document.fonts.ready.then(() => requestAnimationFrame(again)));
  }

  const show = (text) => {
    document.getElementById("pixgrad-trouble")?.remove();
    if (!text) return;
    const box = Object.assign(document.createElement("div"), { id: "pixgrad-trouble", textContent: text });
    box.setAttribute("role", "alert");
    box.style.cssText = "position:fixed;inset:auto 0 0 0;z-index:9999;padding:.6rem 1rem;" +
      "font:14px/1.4 monospace;background:#7a1f1f;color:#fff;overflow-wrap:anywhere";
    document.body.append(box);
  };

  const listen = () => {
    stream?.close();
    if (document.hidden) return;
    stream = new EventSource(`/_pixgrad/events?page=${encodeURIComponent(page)}&since=${since}`);
    stream.onmessage = (event) => {
      const { reload, trouble } = JSON.parse(event.data);
      show(trouble);
      if (!reload) return;
      stream.close();
      remember();
      location.reload();
    };
  };
  document.addEventListener("visibilitychange", listen);
  listen();
})();
