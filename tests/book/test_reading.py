"""The site of this very book as a reader meets it, in a real browser."""

from collections import Counter

import pytest
from test_site import (
    REFERENCE,
    _is_foreign,
    accessibility_faults,
    all_pages,
    browser,  # noqa: F401
    served,
)

from pixgrad.book.rendering import html_engine
from pixgrad.book.source import project as books

pytestmark = pytest.mark.browser
CHAPTER = "chapters/02-sift-anatomy.html"
VARIED = (
    "index.html",
    "chapters/04-matching.html",
    "chapters/13-vanishing-gradients.html",
    "chapters/assignment.html",
)
"""Pages with all that pages are made of."""

CUT = """() => {
  const width = document.documentElement.clientWidth, cut = [];
  if (document.documentElement.scrollWidth > width) cut.push("the page");
  for (const shown of document.querySelectorAll("main :is(table, math, pre, img)")) {
    const { right, width: own } = shown.getBoundingClientRect();
    const boxes = ".table-wrapper, .equation, .plot, pre, p:has(> math[display=block])";
    const box = shown.closest(boxes);
    const cued = box?.matches(".scrolls[tabindex='0']") && box.matches(".more-left, .more-right");
    if (!own || cued) continue;
    const limit = box ? Math.min(width, box.getBoundingClientRect().right) : width;
    if (right > limit + 2) cut.push(`${shown.tagName} in #${shown.closest("[id]")?.id}`);
  }
  return cut;
}"""
DASHES = """() => {
  const found = [], main = document.querySelector("main");
  const walker = document.createTreeWalker(main, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const block = node.parentElement.closest("p, li");
    if (!block || node.parentElement.closest("code, nav")) continue;
    for (let at = node.data.indexOf("—"); at >= 0; at = node.data.indexOf("—", at + 1)) {
      const range = document.createRange();
      range.setStart(node, at);
      range.setEnd(node, at + 1);
      const place = range.getBoundingClientRect();
      const left = block.getBoundingClientRect().left;
      if (place.width && place.left < left + 6) found.push(block.textContent.slice(0, 60));
    }
  }
  return found;
}"""


@pytest.fixture(scope="module")
def book(tmp_path_factory):
    out = tmp_path_factory.mktemp("book")
    html_engine.build_html(books.load(REFERENCE.parent.parent), out)
    return out


@pytest.fixture(scope="module")
def address(book):
    with served(book) as found:
        yield found


@pytest.fixture
def visit(browser, address):  # noqa: F811
    """Opens a page of the book in a fresh context: ``visit(name, width, **options)``."""
    contexts = []

    def open_page(name: str, width: int = 1440, **options):
        height = 844 if width < 500 else 900
        context = browser.new_context(viewport={"width": width, "height": height}, **options)
        contexts.append(context)
        page = context.new_page()
        page.goto(f"{address}/{name}")
        return page

    yield open_page
    for context in contexts:
        context.close()


def test_no_page_has_an_error_or_a_foreign_request(book, address, visit):
    page, trouble = visit("index.html"), []
    page.on("console", lambda m: m.type == "error" and trouble.append(m.text))
    page.on("pageerror", lambda error: trouble.append(str(error)))
    page.on("request", lambda request: _is_foreign(request.url) and trouble.append(request.url))
    for name in all_pages(book):
        page.goto(f"{address}/{name}")
    assert trouble == []


@pytest.mark.parametrize("extent", ["sample", pytest.param("all", marks=pytest.mark.slow)])
def test_no_page_has_a_barrier(book, address, visit, extent):
    page, faults = visit("index.html"), []
    for name in VARIED if extent == "sample" else all_pages(book):
        page.goto(f"{address}/{name}")
        faults += [f"{name}: {fault}" for fault in accessibility_faults(page, (1440, 390))]
    assert faults == []


@pytest.mark.parametrize("width", [1440, 1280, 768, 390])
def test_nothing_is_cut_off_unseen(book, address, visit, width):
    page, found = visit("index.html", width), {}
    for name in all_pages(book):
        page.goto(f"{address}/{name}")
        page.evaluate("document.fonts.ready")
        found[name] = page.evaluate(CUT) + page.evaluate(DASHES)
    assert not any(found.values()), found


def test_a_line_of_text_has_65_to_75_characters(visit):
    page = visit("chapters/19-conclusions.html")
    lengths = page.evaluate("""() => [...document.querySelectorAll("main section > p")]
      .filter((p) => !p.querySelector("math") && p.textContent.length > 300)
      .map((p) => [p, parseFloat(getComputedStyle(p).lineHeight)])
      .map(([p, line]) => p.textContent.length / Math.round(p.clientHeight / line))""")
    assert 62 <= sum(lengths) / len(lengths) <= 75  # the last lines, not full, are counted, too


def test_a_wide_table_uses_the_margin_and_hides_the_contents_there(visit):
    page = visit("chapters/13-vanishing-gradients.html#tbl-early-late")
    page.wait_for_function("document.querySelector('#page-contents').matches('.covered')")
    box, text = "#tbl-early-late .table-wrapper", "main section > p"
    right = "e => e.getBoundingClientRect().right"
    assert page.locator(box).first.evaluate(right) > page.locator(text).first.evaluate(right)


@pytest.mark.parametrize(("width", "is_beside"), [(1440, True), (1100, False), (390, False)])
def test_a_note_stands_in_the_margin_where_there_is_one(visit, width, is_beside):
    page = visit("chapters/19-conclusions.html", width)
    note, text = page.evaluate("""() => {
      const before = document.querySelector("main section > p");
      const note = document.createElement("div");
      note.className = "column-margin";
      note.textContent = "Заметка о том, что сказано рядом.";
      before.before(note);
      return [note, before].map((one) => one.getBoundingClientRect().toJSON());
    }""")
    assert (note["left"] > text["right"]) == is_beside
    assert note["right"] <= width
    assert (note["bottom"] <= text["top"]) != is_beside


def test_the_number_of_a_formula_stands_at_the_right_edge(visit):
    page = visit("chapters/01-sift-opencv.html")
    for place in page.locator(".equation").all():
        edge = place.evaluate("e => e.getBoundingClientRect().right")
        assert place.locator(".equation-number").evaluate(
            "e => e.getBoundingClientRect().right"
        ) == (pytest.approx(edge, abs=2))
    numbers = page.locator("#eq-descriptor mn").all_text_contents()
    assert "0,2" in numbers


def test_the_typefaces_are_the_books_own(visit):
    page = visit(CHAPTER)
    page.wait_for_load_state("networkidle")
    loaded = page.evaluate(
        "[...document.fonts].filter(f => f.status == 'loaded').map(f => f.family)"
    )
    assert {"Book Text", "Book Sans", "Book Math"} <= set(loaded)


def test_search_lands_on_the_section(visit):
    page = visit("index.html")
    page.keyboard.press("Control+k")
    page.fill("#search-input", "четверть пикселя")
    page.wait_for_selector(".search-hit")
    texts = page.locator(".search-hit").all_inner_texts()
    assert not any(mark in text for text in texts for mark in ("\\", "import ", "{", "np."))
    page.keyboard.press("ArrowDown")
    assert page.locator(".search-hit").nth(1).get_attribute("aria-selected") == "true"
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Enter")
    page.wait_for_url("**/02-sift-anatomy.html#*")
    target = page.url.split("#")[1]
    page.wait_for_timeout(300)
    top = page.evaluate(f"document.getElementById('{target}').getBoundingClientRect().top")
    assert 0 <= top < 200
    page.keyboard.press("/")
    page.fill("#search-input", "четверть пикселя")
    page.wait_for_selector(".search-hit")
    page.keyboard.press("Enter")  # a hit on the open page closes the dialog, too
    assert not page.locator("#search-dialog").is_visible()


def test_search_corrects_a_word_and_finds_nothing_in_nonsense(visit):
    page = visit("index.html")
    page.keyboard.press("/")
    for nonsense in ("xyzabc", "щщщъъ"):
        page.fill("#search-input", nonsense)
        page.wait_for_function(
            "document.querySelector('#search-status').innerText.includes('Ничего')"
        )
        page.fill("#search-input", "")
    page.fill("#search-input", "дискриптор")
    page.click("#search-status button")
    page.wait_for_selector(".search-hit mark")
    assert page.input_value("#search-input").startswith("дескриптор")
    page.keyboard.press("Escape")
    assert not page.locator("#search-dialog").is_visible()


@pytest.mark.parametrize("way", ["mouse", "keyboard", "touch"])
def test_a_reference_shows_what_it_leads_to(visit, way):
    width = 390 if way == "touch" else 1440
    page = visit("chapters/13-vanishing-gradients.html", width, has_touch=way == "touch")
    own = page.locator("main a.quarto-xref[href^='#fig-']").first
    other = page.locator("main a.quarto-xref[href*='.html#']").first
    cited = page.locator("main a[role=doc-biblioref]").first
    for link, inside in ((own, "img"), (other, ""), (cited, "")):
        {"mouse": link.hover, "touch": link.tap, "keyboard": lambda: None}[way]()
        if way == "keyboard":
            page.keyboard.press("Tab")  # so that the focus is visible
            link.focus()
        page.wait_for_selector(f"#preview:not([hidden]) {inside}")
        assert len(page.locator("#preview").inner_text()) > 20
        box = page.locator("#preview").bounding_box()
        assert box["x"] >= 0 and box["x"] + box["width"] <= page.viewport_size["width"]
        page.keyboard.press("Escape")
        assert not page.locator("#preview").is_visible()
    if way == "touch":
        own.tap()
        page.tap("#preview .go")
        assert "#fig-" in page.url


@pytest.mark.parametrize("way", ["mouse", "keyboard", "touch"])
def test_a_picture_opens_large(visit, way):
    page = visit(CHAPTER, 390 if way == "touch" else 1440, has_touch=way == "touch")
    image, button = page.locator("main figure img").first, page.locator(".zoom-button").first
    image.scroll_into_view_if_needed()
    small = image.bounding_box()["width"]
    if way == "keyboard":
        button.focus()
        page.keyboard.press("Enter")
    else:
        (image.tap if way == "touch" else image.click)()
    large = page.locator("#zoom-view img")
    large.wait_for()
    page.keyboard.press("+")
    assert large.bounding_box()["width"] > 1.3 * small
    page.keyboard.press("Escape")
    assert not page.locator("#zoom-dialog").is_visible()
    if way == "keyboard":
        assert button.evaluate("b => b === document.activeElement")


def test_one_switch_shows_all_code_and_is_remembered(visit, address):
    page = visit(CHAPTER)
    folded = "document.querySelectorAll('details.code-fold:not([open])').length"
    assert page.evaluate(folded) > 5
    page.click("#code-toggle")
    assert page.evaluate(folded) == 0
    page.goto(f"{address}/chapters/04-matching.html")
    assert page.evaluate(folded) == 0
    page.click("#code-toggle")
    assert page.evaluate(folded) > 5


def test_the_drawer_has_a_scrim(visit):
    page = visit(CHAPTER, 390)
    page.click("#sidebar-toggle")
    box = page.locator("#quarto-sidebar").bounding_box()
    assert box["y"] + box["height"] == pytest.approx(844, abs=1)
    page.mouse.click(370, 500)
    page.wait_for_selector("#quarto-sidebar", state="hidden")
    assert page.url.endswith(CHAPTER)


def test_arrows_do_not_steal(visit):
    page = visit(CHAPTER)
    page.locator("details.code-fold summary").first.focus()
    page.keyboard.press("ArrowRight")
    assert page.url.endswith(CHAPTER)
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("ArrowRight")
    page.wait_for_url("**/chain-rule.html")


def test_contents_of_the_page_fold_on_a_phone(visit):
    page = visit(CHAPTER, 390)
    assert not page.locator("#TOC a").first.is_visible()
    page.click("#page-contents summary")
    page.locator("#TOC a").nth(3).click()
    assert "#" in page.url
    assert not page.locator("#TOC a").first.is_visible()
    assert (
        page.locator("main h2 .anchorjs-link").count()
        == page.locator("main section.level2").count()
    )


def test_labels_of_a_plot_are_readable_on_a_phone(visit):
    page = visit("chapters/13-vanishing-gradients.html", 390)
    shares = page.evaluate("""() => [...document.querySelectorAll("main figure .plot > img")]
      .filter((plot) => plot.checkVisibility())
      .map((plot) => plot.getBoundingClientRect().width / plot.getAttribute("width"))""")
    assert shares and min(shares) >= 0.719  # the smallest labels of the style have 9.5 points
    box = page.locator("main figure .plot.scrolls").first
    box.scroll_into_view_if_needed()
    assert box.get_attribute("tabindex") == "0"
    assert "more-right" in box.get_attribute("class")
    box.evaluate("box => box.scrollTo(box.scrollWidth, 0)")
    page.wait_for_function("document.querySelector('main figure .plot.scrolls.more-left')")


@pytest.mark.parametrize(("theme", "is_dark"), [("light", False), ("dark", True)])
def test_plots_follow_the_theme(visit, theme, is_dark):
    import io

    from PIL import Image

    page = visit("chapters/13-vanishing-gradients.html", color_scheme=theme)
    image = page.locator("main figure img[src$='.svg']").first
    image.scroll_into_view_if_needed()
    page.wait_for_load_state("networkidle")
    with Image.open(io.BytesIO(image.screenshot())) as drawn:
        corner = drawn.convert("L").getpixel((6, 6))
    assert (corner < 60) == is_dark


def test_pages_are_light(book, address, browser):  # noqa: F811
    for name in all_pages(book):
        assert (book / name).stat().st_size <= 300_000, name
    for name in ("index.html", CHAPTER, "chapters/13-vanishing-gradients.html"):
        context = browser.new_context(viewport={"width": 1440, "height": 900})
        page, sizes = context.new_page(), Counter()

        def count(answer, sizes=sizes):
            sizes[answer.request.resource_type] += len(answer.body())

        page.on("response", count)
        page.goto(f"{address}/{name}")
        page.wait_for_load_state("networkidle")
        assert sizes.total() <= 700_000, name
        # All but pictures, which come when they are near: 2.7 s at 1.6 Mbit/s, uncompressed.
        assert sizes.total() - sizes["image"] <= 540_000, name
        context.close()
    assert (book / "site_libs" / "fonts" / "math.woff2").stat().st_size <= 200_000


@pytest.mark.parametrize("width", [1440, 390])
def test_a_page_does_not_jump_on_a_slow_line(visit, address, width):
    page = visit("404.html", width)
    devtools = page.context.new_cdp_session(page)
    devtools.send("Network.enable")
    line = {"latency": 100, "downloadThroughput": 200_000, "uploadThroughput": 90_000}
    devtools.send("Network.emulateNetworkConditions", {"offline": False, **line})
    devtools.send("Network.setCacheDisabled", {"cacheDisabled": True})
    page.add_init_script("""window.shift = 0;
      new PerformanceObserver((list) => {
        for (const entry of list.getEntries()) if (!entry.hadRecentInput) shift += entry.value;
      }).observe({ type: "layout-shift", buffered: true });""")
    for name in ("index.html", "chapters/03-sift-backprop.html"):
        page.goto(f"{address}/{name}")
        page.wait_for_timeout(500)
        assert page.evaluate("shift") <= 0.02, name
