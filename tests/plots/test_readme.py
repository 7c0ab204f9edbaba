"""The repository's first page says what is measured, and its pictures are made of the book."""

import re
import shutil
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_pdf import PdfPages
from PIL import Image

from pixgrad.errors import PixgradError
from pixgrad.plots import readme

ROOT = Path(__file__).parent.parent.parent
FROM_SUPERSCRIPT = str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789")


@pytest.mark.parametrize(("comma", "shown"), [(False, "0.68 ± 0.07"), (True, "0,68 ± 0,07")])
def test_fill_writes_only_between_the_marks(comma, shown):
    text = "Less. By <!--=gap-->old<!--/--> and 1.5."
    filled = readme.fill(text, {"gap": "0.68 ± 0.07"}, comma)
    assert filled == f"Less. By <!--=gap-->{shown}<!--/--> and 1.5."


def test_an_unknown_name_is_an_error():
    with pytest.raises(KeyError):
        readme.fill("<!--=gap-->?<!--/-->", {}, comma=False)


@pytest.fixture(scope="module")
def numbers():
    pytest.importorskip("skimage")
    pytest.importorskip("cv2")
    return readme.numbers()


@pytest.mark.parametrize("name", readme.PAGES)
def test_a_readme_says_what_is_measured(numbers, name):
    text = (ROOT / name).read_text("utf-8")
    assert readme.fill(text, numbers, comma=name != readme.PAGES[0]) == text, "make pictures"
    assert set(re.findall(r"<!--=(.+?)-->", text)) == set(numbers)
    assert not re.search(r"^\s*<!--=", text, re.M), "a line of HTML to Markdown"


def test_the_numbers_are_those_of_the_records(numbers):
    """From the tables as they lie on the disk, by plain means."""
    runs = pd.read_csv(ROOT / "results/depth/summary.csv")
    loss = runs[runs["depth"] == 56].pivot(index="seed", columns="skip", values="train_loss")
    estimate, half = (float(part) for part in numbers["gap"].split(" ± "))
    assert estimate == pytest.approx((loss[False] - loss[True]).mean(), abs=0.005)
    assert numbers["pairs"] == str(len(loss))
    assert 0 < half < estimate
    start = pd.read_parquet(ROOT / "results/untrained/start.parquet")
    plain = start[(start["depth"] == 56) & ~start["skip"] & (start["activation"] == "relu")]
    for batch_norm, init, name in ((False, "default", "faded"), (True, "he", "grown")):
        cell = plain[(plain["batch_norm"] == batch_norm) & (plain["init"] == init)]
        logs = np.log(
            cell.groupby(["layer"])["grad_norm"].agg(lambda one: np.exp(np.log(one).mean()))
        )
        early, late = (logs[logs.index <= 56 / 3].mean(), logs[logs.index > 2 * 56 / 3].mean())
        mantissa, _, power = numbers[name].partition("·10")
        shown = float(mantissa) * 10.0 ** int(power.translate(FROM_SUPERSCRIPT) or 0)
        assert shown == pytest.approx(np.exp(early - late), rel=0.5 if power else 0.005)


def test_pages_of_a_pdf_are_found_by_their_captions(tmp_path, monkeypatch):
    if not shutil.which("pdftoppm"):
        pytest.skip("нет poppler")
    captions = {1: "Figure 2.3", 3: "Figure 5.3", 4: "Figure 9.3"}
    monkeypatch.setattr(readme, "PDF_CAPTIONS", tuple(captions.values()))
    with PdfPages(tmp_path / "book.pdf") as pdf, plt.rc_context({"pdf.fonttype": 42}):
        for number, color in enumerate(("white", "red", "white", "lime", "blue")):
            figure = plt.figure(figsize=(3, 4), facecolor=color, layout="none")
            figure.text(0.1, 0.5, f"{captions.get(number, '?')}. So")
            pdf.savefig(figure, facecolor=color)
            plt.close(figure)
    readme._show_pdf(tmp_path, tmp_path / "pdf.png")
    picture = np.asarray(Image.open(tmp_path / "pdf.png").convert("RGB"))
    corners = [tuple(picture[20, (part * picture.shape[1]) // 3 + 30]) for part in range(3)]
    assert corners == [(255, 0, 0), (0, 255, 0), (0, 0, 255)]


def test_without_a_rendered_book_it_is_said(tmp_path):
    with pytest.raises(PixgradError, match="pixgrad render"):
        readme._show_site(tmp_path, tmp_path / "site.png")
    with pytest.raises(PixgradError, match="pixgrad render"):
        readme._show_pdf(tmp_path, tmp_path / "pdf.png")


@pytest.mark.browser
def test_the_site_is_shown_at_its_section(tmp_path):
    if not (shutil.which("chromium") or shutil.which("chromium-browser")):
        pytest.skip("нет Chromium")
    path, _, name = readme.SITE_PLACE.partition("#")
    page = tmp_path / path
    page.parent.mkdir()
    body = "<body style='margin:0'><div style='height:3000px;background:red'></div>"
    page.write_text(f"{body}<div id='{name}' style='height:2000px;background:lime'></div>", "utf-8")
    (tmp_path / "index.html").touch()
    readme._show_site(tmp_path, tmp_path / "site.png")
    picture = Image.open(tmp_path / "site.png").convert("RGB")
    assert picture.getpixel((10, 10)) == picture.getpixel((10, 900)) == (0, 255, 0)
