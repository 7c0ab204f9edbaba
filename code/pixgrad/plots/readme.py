"""The repository's first page: its pictures and the measured numbers in its text.

A number of a README stands between ``<!--=name-->`` and ``<!--/-->``; ``fill`` writes it there.
No line may begin with such a mark: Markdown would take the whole line for HTML.
"""

import io
import re
import shutil
import subprocess
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from PIL import Image

from pixgrad import results
from pixgrad.data.photos import photo
from pixgrad.errors import PixgradError
from pixgrad.plots import cover, front, gradients
from pixgrad.plots.style import use_style
from pixgrad.progress import shown
from pixgrad.results.statistics import STREAMS, paired_student
from pixgrad.sift import Sift
from pixgrad.views import agreement, opencv

PAGES = ("README.md", "README.ru.md")
SITE_PLACE = "chapters/13-vanishing-gradients.html#sec-vanishing-start"
PDF_CAPTIONS = ("Рисунок 2.3", "Рисунок 5.3", "Рисунок 9.3")
_NUMBER = re.compile(r"(<!--=([a-z-]+)-->).*?(<!--/-->)")
_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def draw(root: Path) -> None:
    """Write the cover, the result figures and, of a rendered book, its pages; fill the numbers.

    Raises
    ------
    PixgradError
        No rendered book, or no Chromium or poppler to show it with.
    """
    use_style()
    assets, book = root / "assets", root / "_book"
    steps = (
        lambda: cover.draw(assets / "cover.jpg"),
        lambda: _save(front.early_late(_ratios(), depth=56), assets / "gradients.png"),
        lambda: _save(
            front.loss_by_depth(results.load("depth").tables["summary"]), assets / "depth.png"
        ),
        lambda: _fill_pages(root),
        lambda: _show_site(book, assets / "site.png"),
        lambda: _show_pdf(book, assets / "pdf.png"),
    )
    for step in shown(steps, "картинки README"):
        step()


def numbers() -> dict[str, str]:
    """What the READMEs say, by name, with a decimal point: findings of the book's first page."""
    image = photo("chelsea").image
    ours = Sift(compiled=False).detect_and_compute(image)
    (theirs,) = opencv.detect_without_fma([image])
    compared = agreement.compare(ours, theirs)
    paired = len(theirs) - compared.missed
    plain = gradients.chosen(_ratios(), depth=56, skip=False)
    faded, grown = (
        np.exp(np.log(gradients.chosen(plain, batch_norm=norm, init=init)["ratio"]).mean())
        for norm, init in ((False, "default"), (True, "he"))
    )
    found = results.load("depth")
    deep = gradients.chosen(found.tables["summary"], depth=56).set_index("seed")
    losses = (gradients.chosen(deep, skip=skip)["train_loss"] for skip in (False, True))
    gap = paired_student(*losses, shared=STREAMS)
    ((steps, epochs),) = {
        (run.steps, run.config["epochs"])
        for run in found.record.runs
        if run.config["stage"] == "main"
    }
    mantissa, exponent = f"{faded:.0e}".split("e")
    return {
        "points": str(len(theirs)),
        "matched": str(paired),
        "equal": str(round(compared.equal_descriptors * paired)),
        "faded": f"{mantissa}·10{str(int(exponent)).translate(_SUPERSCRIPT)}",
        "grown": f"{grown:.0f}",
        "steps": str(steps),
        "epochs": str(epochs),
        "pairs": str(len(deep) // 2),
        "gap": f"{gap.estimate:.2f} ± {(gap.high - gap.low) / 2:.2f}",
    }


def _fill_pages(root: Path) -> None:
    values = numbers()
    for name in PAGES:
        page = root / name
        page.write_text(fill(page.read_text("utf-8"), values, comma=name != PAGES[0]), "utf-8")


def fill(text: str, values: dict[str, str], comma: bool) -> str:
    """The text with every marked number as measured; with a decimal comma if asked."""

    def put(place: re.Match) -> str:
        value = values[place[2]]
        return place[1] + (value.replace(".", ",") if comma else value) + place[3]

    return _NUMBER.sub(put, text)


def _ratios():
    """Gradient near the input over gradient near the output, before training."""
    start = gradients.chosen(results.load("untrained").tables["start"], activation="relu")
    return gradients.early_late_ratio(start, "grad_norm")


def _save(figure: plt.Figure, path: Path) -> None:
    figure.savefig(path, dpi=200, bbox_inches="tight", pad_inches=0.1)
    plt.close(figure)
    _pack(Image.open(path), path)


def _pack(picture: Image.Image, path: Path) -> None:
    """Write a PNG in 256 colours: a third of the size, the same to the eye."""
    picture.convert("RGB").quantize(256).save(path, optimize=True)


def _show_site(book: Path, path: Path) -> None:
    """A section of the site as a wide window shows it."""
    from playwright.sync_api import sync_playwright

    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if not (book / "index.html").exists() or chromium is None:
        raise PixgradError("нужны собранная книга (pixgrad render) и Chromium")
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        shown = browser.new_page(viewport={"width": 1440, "height": 1000})
        shown.goto(book.resolve().as_uri() + "/" + SITE_PLACE)
        shown.wait_for_load_state("networkidle")
        shown.screenshot(path=path)
        browser.close()
    _pack(Image.open(path), path)


def _show_pdf(book: Path, path: Path) -> None:
    """Pages of the PDF side by side, each the first with its caption."""
    pdf = next(book.glob("*.pdf"), None)
    if pdf is None or not shutil.which("pdftoppm"):
        raise PixgradError("нужны PDF (pixgrad render --to pdf) и poppler")
    words = ["pdftotext", str(pdf), "-"]
    told = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    pages = [" ".join(page.split()) for page in told.split("\f")]
    shown = []
    for caption in PDF_CAPTIONS:
        number = next((n for n, page in enumerate(pages, 1) if f"{caption}. " in page), None)
        if number is None:
            raise PixgradError(f"в {pdf.name} нет подписи «{caption}»")
        place = ["-f", str(number), "-l", str(number), "-r", "70", "-png", str(pdf)]
        drawn = subprocess.run(["pdftoppm", *place], capture_output=True, check=True).stdout
        shown.append(Image.open(io.BytesIO(drawn)))
    (width, height), gap = shown[0].size, 12
    sheet = Image.new("RGB", (len(shown) * (width + gap) + gap, height + 2 * gap), "#9a9a9a")
    for place, page in enumerate(shown):
        sheet.paste(page, (gap + place * (width + gap), gap))
    _pack(sheet, path)
