"""The search of the site: Pagefind's index with Russian word forms, and words for suggestions."""

import html
import json
import re
import subprocess
import tempfile
from collections import Counter
from pathlib import Path

from pixgrad import files
from pixgrad.errors import PixgradError

_MAIN = re.compile(r"<main\b.*?</main>", re.S)
_SILENT = re.compile(  # what is no prose: code, displayed formulas, the page's own frame
    r"<pre\b.*?</pre>|<summary\b.*?</summary>|<script\b.*?</script>|<nav\b.*?</nav>"
    r"|<annotation\b.*?</annotation>"
    r'|<math display="block".*?</math>|<span class="equation-number">.*?</span>'
    r'|<p class="(?:book-title|subtitle|quarto-title-meta)">.*?</p>|<button\b.*?</button>',
    re.S,
)
_FORMULA = re.compile(r"<math\b.*?</math>", re.S)
_TAG = re.compile(r"<[^>]+>")
_SECTION = re.compile(r'<section id="([^"]*)"([^>]*)>\s*<(h[2-6])\b(?![^>]*\bid=)')
_WORD = re.compile(r"[а-яё]{4,}")


def build_index(site: Path) -> None:
    """Write ``pagefind/`` into a finished site; the pages' ``lang`` chooses the stemmer.

    Pagefind reads copies of the pages without code and TeX, with ids on the headings, so that a hit
    leads to its section.

    Raises
    ------
    PixgradError : Pagefind failed; its last line is shown.
    """
    from pagefind_bin import get_executable

    words: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        for page in sorted(site.rglob("*.html")):
            if page.name == "404.html":
                continue
            text = readable(page.read_text("utf-8"))
            words.update(_WORD.findall(html.unescape(_TAG.sub(" ", text)).lower()))
            files.write(Path(folder) / page.relative_to(site), text)
        output = str(site / "pagefind")
        command = [str(get_executable()), "--site", folder, "--output-path", output, "--quiet"]
        answer = subprocess.run(command, capture_output=True, text=True)
    if answer.returncode != 0:
        said = (answer.stderr or answer.stdout).strip().splitlines() or ["ничего не сказал"]
        raise PixgradError(f"Pagefind не построил индекс поиска: {said[-1]}")
    for unused in (site / "pagefind").glob("pagefind-*ui.*"):  # the page has its own dialog
        unused.unlink()
    common = [word for word, count in words.most_common() if count > 1]
    files.write(site / "pagefind" / "words.json", json.dumps(common, ensure_ascii=False))


def readable(page: str) -> str:
    """A page as the search reads it."""
    main = _MAIN.search(page)
    if not main:
        return page
    text = _FORMULA.sub(lambda match: _TAG.sub("", match[0]), _SILENT.sub("", main[0]))
    text = _SECTION.sub(r'<section\2><\3 id="\1"', text)
    return (
        page[: main.start()]
        + text.replace("<main", "<main data-pagefind-body", 1)
        + "</body></html>"
    )
