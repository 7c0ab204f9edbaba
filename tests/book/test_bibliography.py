"""The list of sources: every entry is cited, can be found by its reader, and is printed as GOST."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

from pixgrad.book.rendering import pandoc

ROOT = Path(__file__).parent.parent.parent
SOURCES = ROOT / "references.bib"
PAGES = [*ROOT.glob("*.qmd"), *ROOT.glob("chapters/*.qmd"), *ROOT.glob("reports/*/*.qmd")]
NOWHERE_OPEN = {"krogh1992", "tieleman2012"}
"""Printed proceedings and a lecture: no DOI, no lasting address."""
PRINTED = {
    "lowe2004": (
        "Lowe D. G. Distinctive Image Features from Scale-Invariant Keypoints // International "
        "Journal of Computer Vision. — 2004. — Vol. 60, no. 2. — P. 91–110. — DOI: "
        "10.1023/B:VISI.0000029664.99615.94."
    ),
    "liu2016ssd": (
        "Liu W., Anguelov D., Erhan D. et al. SSD: Single Shot MultiBox Detector // European "
        "Conference on Computer Vision (ECCV). — 2016. — P. 21–37. — DOI: "
        "10.1007/978-3-319-46448-0_2. — URL: https://arxiv.org/abs/1512.02325."
    ),
    "griewank2008": (
        "Griewank A., Walther A. Evaluating Derivatives: Principles and Techniques of Algorithmic"
        " Differentiation. — 2nd ed. — Philadelphia: SIAM, 2008. — DOI: 10.1137/1.9780898717761."
    ),
    "krizhevsky2009": (
        "Krizhevsky A. Learning Multiple Layers of Features from Tiny Images: technical report. —"
        " University of Toronto, 2009. — URL: "
        "https://www.cs.toronto.edu/~kriz/learning-features-2009-TR.pdf."
    ),
    "beyer2020": (
        "Beyer L., Hénaff O. J., Kolesnikov A., Zhai X., van den Oord A. Are We Done with "
        "ImageNet? — 2020. — URL: https://arxiv.org/abs/2006.07159."
    ),
}


def converted(*options: str, text: str | None = None) -> str:
    """What pandoc makes of ``text``, or of the bibliography."""
    command = [pandoc.executable(), "--wrap=none", *options]
    return subprocess.run(
        command,
        input=text or SOURCES.read_text("utf-8"),
        capture_output=True,
        text=True,
        check=True,
    ).stdout


@pytest.fixture(scope="module")
def entries() -> dict[str, dict]:
    read = json.loads(converted("--from=biblatex", "--to=csljson"))
    return {entry["id"]: entry for entry in read}


def test_every_source_is_cited(entries: dict[str, dict]) -> None:
    # functions that write sentences cite too
    texts = [
        page.read_text("utf-8") for page in (*PAGES, *(ROOT / "code/pixgrad/plots").glob("*.py"))
    ]
    cited = {key for text in texts for key in re.findall(r"@(\w+)", text)}
    assert entries.keys() - cited == set()


def test_every_source_can_be_found(entries: dict[str, dict]) -> None:
    wrong = {}
    for key, entry in entries.items():
        lacks = [name for name in ("author", "title", "issued", "language") if not entry.get(name)]
        if not (entry.get("DOI") or entry.get("URL")) and key not in NOWHERE_OPEN:
            lacks.append("DOI или URL")
        if entry["type"] in ("article-journal", "paper-conference", "chapter"):
            lacks += [] if entry.get("container-title") else ["container-title"]
        if lacks:
            wrong[key] = lacks
    assert wrong == {}


def test_fields_agree_with_each_other(entries: dict[str, dict]) -> None:
    """Pages go up, an identifier has its form, a preprint is not a year younger than the paper."""
    wrong = set()
    for key, entry in entries.items():
        first, _, last = entry.get("page", "1-2").replace("–", "-").partition("-")
        year = int(str(entry["issued"]["date-parts"][0][0]))
        preprint = re.fullmatch(r"https://arxiv\.org/abs/(\d\d)\d\d\.\d{4,5}", entry.get("URL", ""))
        if (
            int(first) >= int(last)
            or not re.fullmatch(r"10\.\d{4,5}/\S+", entry.get("DOI", "10.1000/1"))
            or ("arxiv" in entry.get("URL", "").lower() and not preprint)
            or (preprint and 2000 + int(preprint[1]) > year + 1)
            or not entry["language"].startswith("en")  # citations.csl writes Vol. and P.
        ):
            wrong.add(key)
    assert wrong == set()


def test_citations_and_list_are_printed_as_in_russian_books(entries: dict[str, dict]) -> None:
    prose = (
        "---\nlang: ru\n---\nЛоу [@lowe2004, раздел 5], сети [@he2016; @kingma2015; @liu2016ssd]"
    )
    prose += "".join(f" [@{key}]" for key in PRINTED)
    text = converted(
        "--citeproc",
        f"--bibliography={SOURCES}",
        f"--csl={ROOT / 'citations.csl'}",
        "--to=plain",
        text=prose,
    )
    assert (
        "Лоу (Lowe, 2004, разд. 5), сети (He и др., 2016; Kingma и Ba, 2015; Liu и др., 2016)"
        in text
    )
    assert " — " not in text  # a dash does not begin a line
    assert set(PRINTED.values()) <= set(text.replace("\xa0", " ").splitlines())
