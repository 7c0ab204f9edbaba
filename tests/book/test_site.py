"""The site in a real browser: Debian's Chromium, driven by Playwright."""

import contextlib
import functools
import http.server
import shutil
import threading
from pathlib import Path

import pytest

from pixgrad.book.rendering import html_engine
from pixgrad.book.source import project as books

pytestmark = pytest.mark.browser
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
REFERENCE = Path(__file__).parent.parent / "quarto-reference"
if CHROMIUM is None:
    pytest.skip("нет Chromium (Debian: apt install chromium)", allow_module_level=True)


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    root = shutil.copytree(REFERENCE, tmp_path_factory.mktemp("book") / "book")
    frozen = root / "_freeze" / "chapters" / "02-nets" / "execute-results" / "html.json"
    text = frozen.read_text("utf-8")  # the sample's cell has no alternative text; a book must
    for name in ("fig-pair-1", "fig-pair-2"):
        text = text.replace(f"{{#{name}}}", f"{{#{name} fig-alt='Отрезок прямой'}}")
    frozen.write_text(text, "utf-8")
    out = root / "_book"
    out.mkdir()
    html_engine.build_html(books.load(root), out)
    return out


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


@contextlib.contextmanager
def served(folder: Path):
    """The folder on localhost; gives its address."""
    handler = functools.partial(QuietHandler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture(scope="module")
def address(site):
    with served(site) as found:
        yield found


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-background-networking"]
        )
        yield opened
        opened.close()


@pytest.fixture
def page(browser):
    """A fresh page whose ``trouble`` lists console errors and requests to other hosts."""
    context = browser.new_context(viewport={"width": 1300, "height": 900})
    opened = context.new_page()
    opened.trouble = []
    opened.on("console", lambda m: m.type == "error" and opened.trouble.append(m.text))
    opened.on("pageerror", lambda error: opened.trouble.append(str(error)))
    opened.on(
        "request", lambda request: _is_foreign(request.url) and opened.trouble.append(request.url)
    )
    yield opened
    context.close()


def _is_foreign(url: str) -> bool:
    return not url.startswith(("http://127.0.0.1:", "file:", "data:", "blob:"))


def all_pages(site: Path) -> list[str]:
    return sorted(path.relative_to(site).as_posix() for path in site.rglob("*.html"))


def test_every_page_opens_without_errors_or_foreign_requests(site, address, page):
    names = all_pages(site)
    assert len(names) == 7  # with the page of errors
    for name in names:
        page.goto(f"{address}/{name}")
        page.wait_for_load_state("networkidle")
        assert page.trouble == [], name


def test_pages_read_just_as_well_from_disk(site, page):
    for name in set(all_pages(site)) - {"404.html"}:  # a server shows that one
        page.goto((site / name).as_uri())
        assert page.trouble == [], name
    page.goto((site / "chapters" / "02-nets.html").as_uri())
    assert page.locator("img").first.evaluate("img => img.naturalWidth") > 0
    assert page.locator(".tab-pane:visible").count() == 1  # the script works from disk, too
    page.click("#search-button")
    assert "через сервер" in page.locator("#search-status").inner_text()


_THIN = """() => {
  const seen = new Map(), kind = one => one && one.tagName + '.' + one.className
  for (const one of document.querySelectorAll('pre span[class], math, p, li, td')) {
    const place = one.closest('figure, pre, table, aside, nav, div[class]')
    const key = [one, one.parentElement, place].map(kind).join(' ')
    seen.set(key, (seen.get(key) || 0) + 1)
    if (seen.get(key) > 3) one.remove()
  }
}"""
"""Of what has the same tag, classes and place, and so the same colours, three stay."""


def accessibility_faults(page, widths: tuple[int, ...]) -> list[str]:
    """Rules of axe that the page breaks, of any level: all at each width, contrast in both themes.

    Contrast comes last, on the thinned page: on whole chapters it takes nine tenths of the time.
    """
    from axe_playwright_python.sync_playwright import Axe

    def broken(rules: dict) -> list[str]:
        found = Axe().run(page, options={"resultTypes": ["violations"], **rules}).response
        return [
            f"{fault['id']}: {[node['html'][:120] for node in fault['nodes']]}"
            for fault in found["violations"]
        ]

    faults = []
    for width in widths:
        page.set_viewport_size({"width": width, "height": 800})
        page.reload()
        page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
        faults += broken({"rules": {"color-contrast": {"enabled": False}}})
    page.evaluate(_THIN)
    for theme in ("light", "dark"):
        page.emulate_media(color_scheme=theme)
        faults += broken({"runOnly": ["color-contrast"]})
    page.emulate_media(color_scheme="light")
    return faults


def test_no_accessibility_violation(site, address, page):
    for name in all_pages(site):
        page.goto(f"{address}/{name}")
        assert accessibility_faults(page, (1300, 400)) == [], name


def test_contrast_of_the_thinned_page_is_still_looked_at(site, address, page):
    page.goto(f"{address}/chapters/02-nets.html")
    style = "pre .kw, pre .im { color: #eee !important; background: #fff }"
    page.on("load", lambda: page.add_style_tag(content=style))
    assert any("color-contrast" in fault for fault in accessibility_faults(page, (1300,)))


def test_search_knows_russian_word_forms(address, page):
    page.goto(f"{address}/index.html")
    page.keyboard.press("/")
    for query in ("дескриптор", "дескриптора", "дескрипторами"):
        page.fill("#search-input", query)
        page.wait_for_function(
            "document.querySelector('#search-results a')?.textContent.includes('Дескрипторы SIFT')"
        )
        page.fill("#search-input", "")
        page.wait_for_function("!document.querySelector('#search-results a')")
    page.fill("#search-input", "щщщ")
    page.wait_for_function(
        "document.querySelector('#search-status').textContent.includes('Ничего не найдено')"
    )
    assert page.trouble == []


def test_dark_theme_is_chosen_kept_and_follows_the_system(address, page, browser):
    page.goto(f"{address}/index.html")
    background = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(background)
    page.click("#theme-toggle")
    dark = page.evaluate(background)
    assert dark != light
    page.goto(f"{address}/chapters/01-sift.html")
    assert page.evaluate(background) == dark
    context = browser.new_context(color_scheme="dark")
    fresh = context.new_page()
    fresh.goto(f"{address}/index.html")
    assert fresh.evaluate(background) == dark
    context.close()


def test_keyboard_reaches_text_tabs_and_pages(address, page):
    page.goto(f"{address}/chapters/02-nets.html")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip-link"
    page.keyboard.press("Enter")
    assert page.url.endswith("#quarto-document-content")
    tabs = page.locator(".panel-tabset .nav-link")
    tabs.first.focus()
    page.keyboard.press("ArrowRight")
    assert tabs.nth(1).get_attribute("aria-selected") == "true"
    assert page.locator(".tab-pane:visible").inner_text().strip() == "Текст второй вкладки."
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("ArrowRight")
    page.wait_for_url("**/chapters/03-end.html")
    page.keyboard.press("ArrowLeft")
    page.wait_for_url("**/chapters/02-nets.html")


def test_narrow_screen_has_a_drawer_and_no_sideways_scroll(site, address, browser):
    context = browser.new_context(viewport={"width": 360, "height": 700})
    page = context.new_page()
    for name in all_pages(site):
        page.goto(f"{address}/{name}")
        overflow = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        assert page.evaluate(overflow) <= 0, name
    sidebar = page.locator("#quarto-sidebar")
    assert not sidebar.is_visible()
    page.click("#sidebar-toggle")
    assert sidebar.is_visible()
    assert page.evaluate("document.activeElement.closest('#quarto-sidebar') !== null")
    page.keyboard.press("Escape")
    page.wait_for_function(
        "getComputedStyle(document.querySelector('#quarto-sidebar')).visibility === 'hidden'"
    )
    context.close()


def test_copy_button_copies_the_code(address, browser):
    context = browser.new_context(permissions=["clipboard-read", "clipboard-write"])
    page = context.new_page()
    page.goto(f"{address}/chapters/02-nets.html")
    block = page.locator("div.sourceCode", has_text="1 + 1")
    block.hover()
    block.locator(".code-copy-button").click()
    page.wait_for_function("document.querySelector('.code-copy-button') !== null")
    assert page.evaluate("navigator.clipboard.readText()").strip() == "1 + 1"
    context.close()


def test_print_shows_all_and_hides_the_frame(address, page):
    page.goto(f"{address}/chapters/02-nets.html")
    page.emulate_media(media="print")
    assert not page.locator("#quarto-sidebar").is_visible()
    assert page.get_by_text("Текст второй вкладки.").is_visible()


def test_brackets_of_formulas_grow(address, page):
    """Without a font that has a MATH table they would stay as low as a letter."""
    page.goto(f"{address}/chapters/02-nets.html")
    page.wait_for_load_state("networkidle")
    height = "e => e.getBoundingClientRect().height"
    formula = page.locator("#eq-chain math")
    bracket = formula.locator("mo", has_text="(").first
    letter = formula.locator("mi", has_text="L").first
    assert bracket.evaluate(height) > 1.5 * letter.evaluate(height)
