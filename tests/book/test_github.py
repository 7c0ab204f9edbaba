"""``pixgrad render --to gfm``: read back by pandoc, beside GitHub's rules; no file is lost."""

from __future__ import annotations

import json
import re
import subprocess
from functools import partial, partialmethod
from pathlib import Path

import pypandoc
import pytest
from tiny_books import cell, pixgrad, snapshot, times, write, write_book

from pixgrad import files, results
from pixgrad.book.checking.check import findings
from pixgrad.book.checking.pages import Book
from pixgrad.book.executing import freeze
from pixgrad.book.ledger.ledger import Ledger
from pixgrad.book.rendering import github
from pixgrad.book.source import project as books
from pixgrad.errors import PixgradError, SourceError

ROOT = Path(__file__).parents[2]
CONFIG = """\
language:
  crossref-fig-prefix: "рис."
  crossref-tbl-prefix: "табл."
  crossref-eq-prefix: "формула"
  crossref-ch-prefix: "глава"
bibliography: refs.bib
"""
PLOT = "import matplotlib.pyplot as plt\nplt.plot([0, 1])\nplt.show()"
TABLE = """\
from IPython.display import Markdown
Markdown("| имя | $|x|$ |\\n|:--|--:|\\n| `a|b` | 1,5 |")"""
PAGE = "\n".join(
    [
        "---\nfig-format: png\n---\n",
        "# Отчёт: «проба» {#sec-report}\n",
        "На рисунке [-@fig-plot], @tbl-made, @tbl-wide и @eq-sum; @sec-one и [вот](../one.qmd).",
        "См. @sec-part, [там же](#sec-part), [дважды](#sec-part-two) и @kingma2015.^[Сноска $s$.]",
        "",
        "::: {.callout-warning}\n## Осторожно, $q$\n\nТекст.\n:::\n",
        "::: {.callout-note}\nПросто.\n:::\n",
        "## Часть\u00a01: `код`, $x$ {#sec-part}\n",
        "$$\n\\operatorname{max}_i \\{a_i\\} = \\lvert b \\rvert\\,,\n$$ {#eq-sum}\n",
        cell(PLOT, "label: fig-plot", 'fig-cap: "Прямая $y = x$."', 'fig-alt: "Прямая"'),
        cell(TABLE, "label: tbl-made", 'tbl-cap: "Сделана ячейкой."', "echo: false"),
        cell('print("два\\nряда")'),
        cell('print("Число **5**.")', "output: asis", "echo: false"),
        "## Часть 1: `код`, $x$ {#sec-part-two}\n",
        "+-----+---+\n| a   | b |\n+=====+===+\n| - x | 2 |\n+-----+---+\n",
        ": Не для чёрточек. {#tbl-wide}\n",
        "```{=html}\n<style>b { color: red }</style><b>Жирно</b>\n```\n",
        "::: {.content-visible when-format=\"gfm\"}\nДля GitHub.\n:::\n",
        "::: {.content-hidden when-format=\"gfm\"}\nНе для GitHub.\n:::\n",
        "![Снимок](own%20picture.png){#fig-own fig-alt=\"Снимок\"}\n",
    ]
)  # fmt: skip


@pytest.fixture(scope="module")
def written(tmp_path_factory) -> Path:
    """A book and a page outside it, executed and written once."""
    root = write_book(
        tmp_path_factory.mktemp("github") / "book",
        {"one.qmd": "# Первая {#sec-one}\n\nТекст.\n"},
        {"notes/page.qmd": PAGE, "refs.bib": (ROOT / "references.bib").read_text("utf-8")},
        CONFIG,
    )
    (root / "notes" / "own picture.png").write_bytes((ROOT / "assets/site.png").read_bytes())
    done = render(root, root / "notes/page.qmd", "gfm")
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith(f"GitHub: {root / 'notes/page.md'}\n")
    return root


@pytest.fixture
def book(tmp_path: Path) -> Path:
    """A book with a page outside it that needs no kernel."""
    page = "# Отчёт\n\n![Рисунок](page_files/figure-html/{}-output-1.png)\n"
    root = write_book(tmp_path / "book", {"one.qmd": "# Первая\n"}, {"page.qmd": page.format("a")})
    for name in "ab":
        write(root / f"_freeze/page/figure-html/{name}-output-1.png", f"picture {name}")
    return root


def render(root: Path, page: Path | None, to: str) -> subprocess.CompletedProcess[str]:
    """``pixgrad render`` of this checkout, whichever is installed."""
    asked = [str(page)] if page else []
    return pixgrad(root, "render", *asked, "--to", to, PYTHONPATH=str(ROOT / "code"))


def nodes(text: str, source: str, kind: str) -> list:
    """Contents of all elements of a kind, in document order."""
    found = []

    def visit(node) -> None:
        if isinstance(node, dict):
            if node.get("t") == kind:
                found.append(node.get("c"))
            node = list(node.values())
        if isinstance(node, list):
            for inner in node:
                visit(inner)

    visit(json.loads(pypandoc.convert_text(text, "json", source))["blocks"])
    return found


def tables(text: str) -> list[list[list[str]]]:
    """Cells of each pipe table as plain text."""
    found = []
    for content in nodes(text, "gfm", "Table"):
        head, bodies = content[3][1], [row for body in content[4] for row in body[3]]
        rows = [[cell[4] for cell in row[1]] for row in (*head, *bodies)]
        found.append([[plain(blocks) for blocks in row] for row in rows])
    return found


def plain(blocks: list) -> str:
    document = {"pandoc-api-version": [1, 23], "meta": {}, "blocks": blocks}
    return pypandoc.convert_text(json.dumps(document), "plain", "json").strip()


def slug(heading: str) -> str:
    """GitHub's anchor: lower case, hyphens for spaces, no punctuation."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def anchors(text: str) -> set[str]:
    seen: dict[str, int] = {}
    names = set()
    for heading in re.findall(r"^#+ (.+)$", without_code(text), re.M):
        name = slug(re.sub(r"[`$]", "", heading))
        count = seen[name] = seen.get(name, -1) + 1
        names.add(f"{name}-{count}" if count else name)
    return names


def without_code(text: str) -> str:
    return re.sub(r"^``` \w+$.*?^```$", "", text, flags=re.M | re.S)


def links(text: str) -> list[str]:
    return [content[2][0] for kind in ("Link", "Image") for content in nodes(text, "gfm", kind)]


def assert_github_shows(text: str) -> None:
    """No syntax of Quarto's or pandoc's, and no formula that GitHub is known to refuse."""
    read = without_code(text)
    for trace in (
        ":::",
        "{#",
        "{.",
        "@fig-",
        "@tbl-",
        "@eq-",
        "@sec-",
        "{{<",
        "#|",
        "pixgrad-image",
    ):
        assert trace not in read
    formulas = [content[1] for content in nodes(text, "gfm", "Math")]
    for formula in formulas:
        assert not re.search(r"\\(operatorname|mbox|phantom|newcommand|def)\b", formula)
        assert formula.count("{") == formula.count("}")
    assert not re.search(r"(?<!`)\$(?!`)", read), "a formula that Markdown would read first"
    assert not re.search(r"[\w-]\$`|\$`[^`]*`\$\w", read), "glued to a letter"
    for content in nodes(text, "gfm", "Emph") + nodes(text, "gfm", "Link"):
        assert '"Math"' not in json.dumps(content)
    for block in re.findall(r"(?:^\|.*\n)+", read, re.M):
        assert len({len(re.findall(r"(?<!\\)\|", row)) for row in block.splitlines()}) == 1


# What GitHub shows ---------------------------------------------------------------------------


def test_formulas_read_back_are_those_of_the_source(written):
    text = (written / "notes/page.md").read_text("utf-8")
    formulas = [formula for _, formula in nodes(text, "gfm", "Math")]
    expected = {"s", "q", "x", "y = x", r"\vert x\vert"}
    expected.add("\n\\mathrm{max}_i \\{a_i\\} = \\lvert b \\rvert\\,,\n\\tag{1}\n")
    assert {formula.strip() for formula in formulas} == {formula.strip() for formula in expected}
    assert_github_shows(text)


def test_references_captions_and_citations_are_text(written):
    text = (written / "notes/page.md").read_text("utf-8").replace("\u00a0", " ")
    assert "На рисунке 1, табл. 1, табл. 2 и формула 1; [глава 1](../one.qmd)" in text
    assert "и Kingma и Ba" in text
    assert "[^1]: Сноска $`s`$." in text
    for before, after in (
        ("![Прямая](fig-plot.png)\n\n", "**Рисунок 1.** Прямая $`y = x`$."),
        ("**Таблица 1.** Сделана ячейкой.\n\n", "| имя"),
        ("**Таблица 2.** Не для чёрточек.\n\n", "<table"),
        ("![Снимок](own%20picture.png)\n\n", "**Рисунок 2.** Снимок"),
        ("> [!WARNING]\n", "> **Осторожно, $`q`$**\n>\n> Текст."),
        ("> [!NOTE]\n", "> Просто."),
        ("    два\n    ряда\n\n", "Число **5**."),
    ):
        assert before + after in text
    assert "<b>Жирно</b>" in text and "color" not in text
    assert "Для GitHub." in text and "Не для GitHub." not in text
    assert "## Литература\n\n- Kingma, Diederik P." in text


def test_tables_keep_their_cells(written):
    (table,) = tables((written / "notes/page.md").read_text("utf-8"))
    assert table == [["имя", "|x|"], ["a|b", "1,5"]]


def test_links_lead_to_anchors_and_files(written):
    text = (written / "notes/page.md").read_text("utf-8")
    assert anchors(text) >= {"часть-1-код-x", "часть-1-код-x-1"}
    targets = links(text)
    assert [target for target in targets if target[0] == "#"] == [
        *["#часть-1-код-x"] * 2,
        "#часть-1-код-x-1",
    ]
    for target in targets:
        if target.startswith("#"):
            assert target[1:] in anchors(text)
        elif not target.startswith("https:"):
            assert (written / "notes" / target.replace("%20", " ")).is_file()


def test_a_chapter_is_linked_as_the_notebook_that_github_shows(written):
    write(written / "notebooks/one.ipynb", "{}")
    project = books.load(written)
    text, _ = github.contents(project, project.outside("notes/page.qmd"))
    (written / "notebooks/one.ipynb").unlink()
    assert text.count("](../notebooks/one.ipynb)") == 2


def test_figures_are_the_frozen_files(written):
    frozen = written / "_freeze/notes/page/figure-html/fig-plot-output-1.png"
    raw = (written / "notes/fig-plot.png").read_bytes()
    assert raw.startswith(b"\x89PNG") and raw == frozen.read_bytes()
    assert {path.name for path in (written / "notes").iterdir()} == {
        *("page.qmd", "page.md", "fig-plot.png", "own picture.png"),
    }


def test_a_page_that_would_not_change_is_left_alone(written):
    before = times(written / "notes")
    done = render(written, written / "notes/page.qmd", "gfm")
    assert done.stdout.endswith("page.md (без изменений)\n")
    assert times(written / "notes") == before


def test_the_book_keeps_what_was_executed_outside_it(written):
    freeze.freeze_book(written)
    assert "notes/page.qmd" in Ledger(written).records


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("$$\n\\phantom{x} y\n$$", r"page.qmd:4: формулу с \\phantom GitHub не показывает"),
        ("Это $n$м шаг.", r"page.qmd:3: \$`n`\$м: формулу вплотную к букве"),
        ("Не туда: @fig-nowhere.", "page.qmd:3: ссылка @fig-nowhere никуда не ведёт"),
    ],
)
def test_what_github_does_not_show_is_refused(book, text, message):
    write(book / "page.qmd", f"# Отчёт\n\n{text}\n")
    with pytest.raises(SourceError, match=message):
        github.write_pages(book, book / "page.qmd")
    assert not (book / "page.md").exists()


# Which pages ---------------------------------------------------------------------------------


def test_reports_are_written_frozen_and_checked_with_the_book(book):
    page = "# Отчёт\n\nСм. @fig-nowhere.\n\n```{python}\nprint(1)\n```\n"
    write(book / "report/README.qmd", page)
    config = (book / "_quarto.yml").read_text("utf-8")
    reports = "pixgrad: {reports: [report/README.qmd]}"
    write(book / "_quarto.yml", config.replace("pixgrad: {}", reports))
    found = [str(finding) for finding in findings(Book(books.load(book)))]
    assert any("report/README.qmd:3: ссылка @fig-nowhere" in one for one in found)
    with pytest.raises(PixgradError, match="устаревших глав: 1"):
        freeze.freeze_book(book, check=True)
    write(book / "report/README.qmd", page.replace("@fig-nowhere", "вывод"))
    done = render(book, None, "gfm")
    assert done.returncode == 0, done.stderr
    assert "См. вывод.\n\n``` python\nprint(1)\n```\n\n    1\n" in (
        book / "report/README.md"
    ).read_text("utf-8")


def test_a_page_that_cannot_be_executed_says_what_it_needs(book, monkeypatch):
    write(book / "page.qmd", "# Отчёт\n\n```{python}\nprint(1)\n```\n")
    monkeypatch.setattr(freeze, "_REQUIRED", ("nbclient", "no_such_package"))
    with pytest.raises(PixgradError, match="нет пакетов no_such_package; выполните make freeze"):
        github.write_pages(book, book / "page.qmd")


def test_other_files_are_refused(book, tmp_path):
    write(tmp_path / "stray.qmd", "# Чужая\n")
    for path, message in (
        (book / "one.qmd", "one.qmd: это глава книги"),
        (tmp_path / "stray.qmd", "лежит вне папки книги"),
        (book / "no.qmd", "no.qmd: файл не читается"),
    ):
        with pytest.raises(PixgradError, match=message):
            github.write_pages(book, path)
    with pytest.raises(PixgradError, match="нет ни одного отчёта"):
        github.write_pages(book)
    done = render(book, book / "page.qmd", "html")
    assert done.returncode == 1
    assert "page.qmd: отдельный файл собирается только с --to gfm" in done.stderr


# Nothing is lost -----------------------------------------------------------------------------


def test_a_file_of_somebody_elses_is_not_replaced(book):
    for name in ("page.md", "a.png"):
        write(book / name, "мой")
        before = snapshot(book)
        with pytest.raises(PixgradError, match=f"{name} написан не нами"):
            github.write_pages(book, book / "page.qmd")
        after = {key: raw for key, raw in snapshot(book).items() if not key.startswith(".cache/")}
        assert {key: before[key] for key in after} == after
        (book / name).unlink()


def test_a_failure_at_any_step_is_finished_by_the_next_run(book, monkeypatch):
    """Figure a gives way to figure b: what the page shows is there, and the next run ends it."""
    source, page = book / "page.qmd", book / "page.md"
    text = source.read_text("utf-8")
    write(book / "c.png", "мой")
    for stop in range(6):
        write(source, text)
        github.write_pages(book, source)
        write(source, text.replace("/a-", "/b-"))
        done = iter(range(stop))

        def failing(work, path, *arguments, done=done, **options):
            if path.parent == book and next(done, None) is None:
                raise OSError("no space")
            return work(path, *arguments, **options)

        with monkeypatch.context() as patch:
            patch.setattr(files, "write", partial(failing, files.write))
            patch.setattr(Path, "unlink", partialmethod(partial(failing, Path.unlink)))
            try:
                github.write_pages(book, source)
            except OSError:
                assert stop < 4
            else:
                assert stop >= 4, "four steps: the new figure, the page, the old figure, the page"
        for name in re.findall(r"\]\((\w+\.png)\)", page.read_text("utf-8")):
            assert (book / name).is_file()
        github.write_pages(book, source)
        assert {path.name for path in book.glob("*.png")} == {"b.png", "c.png"}
        assert page.read_text("utf-8").count("b.png") == 2


# The report of the laboratory work -----------------------------------------------------------


@pytest.fixture(scope="module")
def report() -> str:
    return (ROOT / "reports/lab1/README.md").read_text("utf-8")


def test_the_committed_report_is_that_of_its_frozen_outputs():
    project = books.load(ROOT)
    (page,) = project.reports
    text, figures = github.contents(project, page)
    folder = ROOT / page.path.parent
    committed = {path.name: path.read_bytes() for path in folder.iterdir()}
    source = committed.pop(page.path.name)
    assert source.decode() == page.document.text
    assert committed == {**figures, "README.md": github.whole(ROOT / page.path, text, figures)}


def test_github_shows_the_whole_report(report):
    assert_github_shows(report)
    targets = links(report)
    assert len(targets) > 30
    for target in targets:
        if target.startswith("#"):
            assert target[1:] in anchors(report)
        elif not target.startswith("https://"):
            assert (ROOT / "reports/lab1" / target).resolve().exists(), target
    for kind, last in (("Таблица", 9), ("Рисунок", 4)):
        numbers = re.findall(rf"^\*\*{kind}\u00a0(\d+)\.\*\*", report, re.M)
        assert numbers == [str(number) for number in range(1, last + 1)]


def test_numbers_of_the_report_are_those_of_the_results(report):
    pytest.importorskip("pandas")
    mnist, cars = (results.load(name, ROOT / "results") for name in ("mnist", "adam_vs_adamax"))
    by_network = mnist.tables["summary"].groupby("network")
    shown = {rows[0][0]: rows for rows in tables(report)}
    digits = {row[0]: row for row in shown["сеть"][1:]}
    for network, name in (("relu", "LeNet с ReLU"), ("sigmoid", "сеть с сигмоидой")):
        values = by_network.get_group(network)
        for column, part in enumerate(("train", "validation", "test"), 2):
            mean = f"{100 * values[f'{part}_accuracy'].mean():.2f}".replace(".", ",")
            assert re.match(rf"{mean}(\u00a0±| \()", digits[name][column])
    epochs = cars.tables["epochs"].query("stage == 'main'")
    names = {"running": "обучение, по ходу эпохи", "train": "обучение, после эпохи"}
    for column, name in {**names, "validation": "проверка, после эпохи"}.items():
        means = epochs.groupby(["epoch", "optimiser"])[f"{column}_loss"].mean()
        rows = [row for row in shown["потери"] if row[0] == name]
        assert len(rows) == 4
        for _, epoch, *values in rows:
            for value, method in zip(values, ("adam", "adamax"), strict=False):
                assert float(value.replace(",", ".")) == pytest.approx(
                    means[int(epoch), method], abs=5e-4
                )
