"""``pixgrad check``: a clean book gives nothing, each fault exactly one finding at its line."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tiny_books import write_files
from typer.testing import CliRunner

from pixgrad.book.checking import check
from pixgrad.book.checking.pages import Book
from pixgrad.book.source import project
from pixgrad.cli import app

REFERENCE = Path(__file__).parents[1] / "quarto-reference"

CONFIG = """\
project:
  type: book
lang: ru
book:
  title: "Книга"
  author: "Автор"
  chapters:
    - index.qmd
    - chapters/01-first.qmd
    - chapters/02-second.qmd
bibliography: refs.bib
fig-width: 5
fig-height: 3
fig-dpi: 100
fig-format: svg
format:
  html:
    theme: default
  typst:
    toc: true
"""
INDEX = """\
# Предисловие {.unnumbered}

Начните с @sec-first, формула @eq-norm, работа [@he2016].
"""
FIRST = """\
---
lang: ru
---

# Первая глава {#sec-first}

Норма $\\|x\\|$ задана в [@he2016, с. 5]; почта me@site.ru, «цитата „внутри“».
Точность {{< var net.accuracy >}} --- это 0,95, а не `0.95`; Python 3.11.

<!-- "в комментарии" 0.5 @fig-none -->

## Как считать?

$$
\\|x\\| = \\sqrt{\\sum_i x_i^2}
$$ {#eq-norm}

```{python}
#| label: fig-plot
#| fig-cap: "График $x^2$"
#| fig-alt: "Парабола"
from matplotlib import pyplot as plt
# рисуем параболу a parabola of the second degree
plt.plot([0, 1, 4])
```

![Схема](scheme.svg){#fig-scheme fig-alt="Два квадрата"}

См. @fig-plot, [-@fig-scheme], [@tbl-sizes; @lst-loop] и [раздел](#как-считать).

| слой | шаг |
|:-----|----:|
| conv | 2   |

: Размеры {#tbl-sizes}

```{#lst-loop .python lst-cap="Цикл"}
for x in "abc": print(0.5)  # an English comment of many words
```

::: {.callout-note title="Замечание"}
## Заголовок врезки
Стоит $5\\,$рублей\\$.
:::
"""
SECOND = """\
# Вторая глава {#sec-second}

См. [там](01-first.qmd#eq-norm), [сайт](https://example.org/a.b#c) и [файл](../refs.bib).

```{python}
#| echo: false
import cv2
print("ok")
```

### Слишком глубоко? {.unlisted}
"""
FILES = {
    "_quarto.yml": CONFIG,
    "_variables.yml": "net:\n  accuracy: '0,9'\n",
    "refs.bib": "@article{he2016, title={A}}\n",
    "index.qmd": INDEX,
    "chapters/01-first.qmd": FIRST,
    "chapters/02-second.qmd": SECOND.replace("### Слишком глубоко?", "## Итог"),
    "chapters/scheme.svg": "<svg xmlns='http://www.w3.org/2000/svg'/>",
}


def found(root: Path) -> list[tuple[str, int, str]]:
    book = Book(project.load(root))
    return [(f.file, f.line, f.message) for f in check.findings(book)]


def line_of(text: str, needle: str) -> int:
    return text.count("\n", 0, text.index(needle)) + 1


def test_clean_book_gives_nothing(tmp_path):
    assert found(write_files(tmp_path, FILES)) == []


ONE, TWO, CONF = "chapters/01-first.qmd", "chapters/02-second.qmd", "_quarto.yml"
# file, what stands there, what replaces it, where the finding is (None: there), its message
FAULTS = {
    "missing image": (ONE, "(scheme.svg)", "(absent.svg)", "нет картинки absent.svg"),
    "image without caption": (ONE, "![Схема]", "![]", "рисунок scheme.svg без подписи"),
    "image without alt": (ONE, ' fig-alt="Два квадрата"', "", "нет описания для незрячих"),
    "link to a missing page": (TWO, "01-first.qmd#eq-norm", "09-no.qmd", "09-no.qmd: такой стр"),
    "link to a missing html": (TWO, "01-first.qmd#eq-norm", "09-no.html", "такой страницы"),
    "link to a missing file": (TWO, "../refs.bib", "refs.bib", "refs.bib: такого файла нет"),
    "anchor of another page": (TWO, "#eq-norm", "#eq-none", "якоря #eq-none в 01-first.qmd нет"),
    "anchor of this page": (ONE, "(#как-считать)", "(#как-считать-1)", "якоря #как-считать-1"),
    "reference definition": (
        TWO,
        "```{python}",
        "[тут]\n\n[тут]: 09.qmd\n\n```{python}",
        "09.qmd: такой",
    ),
    "label twice: heading": (TWO, "#sec-second", "#sec-first", f"уже есть: {ONE}:5"),
    "label twice: cell": (
        TWO,
        "#| echo: false",
        '#| label: fig-plot\n#| fig-cap: "а"\n#| fig-alt: "б"',
        "метка fig-plot уже есть",
    ),
    "label twice: div": (TWO, "## Итог", "::: {#tbl-sizes}\n:::\n\n## Итог", "метка tbl-sizes уже"),
    "label twice: listing": (ONE, "{#tbl-sizes}", "{#lst-loop}", None),
    "label twice: equation": (TWO, "## Итог", "$$ x $$ {#eq-norm}\n\n## Итог", "метка eq-norm уже"),
    "unknown option": (TWO, "#| echo:", "#| ehco:", "неизвестная настройка ячейки «ehco»"),
    "type of an option": (TWO, "echo: false", "echo: 3", "настройка echo: ожидалось"),
    "option below code": (TWO, "import cv2\n", "import cv2\n#| eval: false\n", None),
    "label with odd characters": (TWO, "#| echo: false", '#| label: "рис 1"', "метка «рис 1»"),
    "label of the wrong kind": (ONE, "label: fig-plot", "label: plot", None),
    "label that no cell has": (TWO, "#| echo: false", "#| label: eq-cell", "метка eq-cell: у яч"),
    "broken YAML of options": (TWO, "#| echo: false", "#| echo: [a: b: c", "ошибка YAML"),
    "broken formula": (ONE, "\\sqrt{\\sum_i x_i^2}", "\\sqrt{\\sum_i", "формула не разбирается"),
    "unknown command": (ONE, "\\|x\\|$ задана", "\\foo$ задана", "лишнее control sequence \\foo"),
    "environment": (ONE, "$\\|x\\|$", "$\\begin{cases} a \\end{matrix}$", "не разбирается"),
    "formula of a caption": (ONE, "$x^2$", "$x^{2$", "формула не разбирается"),
    "lone dollar": (TWO, "## Итог", "Цена 5$.\n\n## Итог", "знак $ без пары"),
    "unresolved reference": (ONE, "@fig-plot, [", "@fig-plod, [", "@fig-plod никуда не ведёт"),
    "unresolved in a group": (ONE, "[@tbl-sizes; @lst", "[@tbl-size; @lst", "@tbl-size никуда"),
    "missing citation": ("index.qmd", "[@he2016]", "[@he2015]", "источника @he2015 нет"),
    "citation in a caption": (ONE, "График $x^2$", "График [@he2015]", "источника @he2015 нет"),
    "glued citation": (
        "index.qmd",
        "@eq-norm, работа [@he2016]",
        "@eq-norm [@he2016]",
        "после @eq-norm вплотную",
    ),
    "cell without alt": (ONE, '#| fig-alt: "Парабола"\n', "", "у fig-plot нет описания"),
    "cell without caption": (ONE, '#| fig-cap: "График $x^2$"\n', "", "у fig-plot нет подписи"),
    "table without caption": (ONE, ": Размеры {#tbl-sizes}", "{#tbl-sizes}", "таблица без подписи"),
    "English quotes": (TWO, "См. [там]", 'См. "там" [там]', None),
    "English quotes, curly": (TWO, "См. [там]", "См. ”[там]", "английская кавычка ”"),
    "English quotes in a caption": (ONE, "График $x^2$", "“График”", None),
    "hyphen for a dash": (TWO, "См. [там]", "Это - [там]", "дефис вместо тире"),
    "decimal point": (TWO, "См. [там]", "Доля 0.95 [там]", "десятичная точка в 0.95"),
    "decimal point in alt": (ONE, "Два квадрата", "Сторона 1.5", "десятичная точка в 1.5"),
    "variable without a value": (ONE, "net.accuracy", "net.acuracy", "переменной net.acuracy нет"),
    "variable of a caption": (ONE, "График $", "{{< var no >}} $", "у переменной no нет"),
    "heading jump": (TWO, "## Итог", "### Итог", "уровня 3 сразу после уровня 1"),
    "English comment": (ONE, "# рисуем параболу a parabola", "# draw a nice parabola", None),
    "Python syntax": (TWO, 'print("ok")', 'print("ok"', "ошибка Python"),
    "cv2.imread": (TWO, 'print("ok")', 'cv2.imread("a.png")', "cv2.imread(…) читает мимо учёта"),
    "alias": (TWO, "import cv2", "import pyarrow.parquet as pq\npq.read_table('a')", None),
    "polars": (TWO, "import cv2", "import polars as pl\npl.read_csv('a')", "polars.read_csv(open("),
    "from import": (TWO, "import cv2", "from subprocess import run\nrun(['ls'])", None),
    "shell": (TWO, "import cv2", "!ls", "«!ls» запускает процесс"),
    "missing bibliography": (CONF, "refs.bib", "nobib.bib", "нет файла библиографии nobib.bib"),
    "bibliography key twice": (
        "refs.bib",
        "title={A}}\n",
        "title={A}}\n@book{he2016, title={B}}\n",
        "источник he2016 уже описан: refs.bib:1",
    ),
    "unknown key": (CONF, "lang: ru", "langg: ru", "похоже на «lang»"),
    "unknown key of book": (CONF, "  title:", "  titel:", "похоже на «title»"),
    "no author": (CONF, '  author: "Автор"\n', "", "нет book: author"),
    "figure settings differ": (
        CONF,
        "    toc: true",
        "    fig-width: 6",
        "fig-width формата typst",
    ),
    "figure settings absent": (CONF, "fig-dpi: 100\n", "", "fig-dpi не задан на верхнем уровне"),
    "chapter not listed": (
        CONF,
        "    - chapters/02-second.qmd\n",
        "",
        "02-second.qmd есть в папке",
    ),
}
# where the finding is, if not at the first changed line: the text at whose line it stands
ELSEWHERE = {
    "label twice: listing": "```{#lst-loop",
    "option below code": "#| eval",
    "label of the wrong kind": "#| fig-cap",
    "alias": "pq.read_table",
    "polars": "pl.read_csv",
    "from import": "run(['ls'])",
    "cell without alt": "#| label: fig-plot",
    "cell without caption": "#| label: fig-plot",
    "table without caption": "| слой",
    "bibliography key twice": "@book",
    "no author": "book:",
    "figure settings absent": "format:\n",
    "chapter not listed": "  chapters:",
    "unresolved reference": "См. @fig-plod",
}
# faults that come with others, by their nature: the number of findings
SEVERAL = {
    "English quotes in a caption": 2,
    "missing bibliography": 3,  # and each citation of it
    "label of the wrong kind": 2,  # and the reference to it
    "table without caption": 2,  # and the reference to its label, which is text now
    "label twice: listing": 2,  # and the reference to the label that is gone
}


@pytest.mark.parametrize("name", FAULTS)
def test_fault_is_found_at_its_line(tmp_path, name):
    file, old, new, message = FAULTS[name]
    text = FILES[file]
    assert text.count(old) >= 1, "the mutation must change the book"
    mutated = text.replace(old, new, 1)
    findings = found(write_files(tmp_path, {**FILES, file: mutated}))
    needle = ELSEWHERE.get(name)
    line = line_of(mutated, needle) if needle else _first_changed_line(text, mutated)
    assert len(findings) == SEVERAL.get(name, 1), findings
    assert any((f, n) == (file, line) and (message or "") in m for f, n, m in findings), findings


@pytest.mark.parametrize(
    ("file", "text", "second"),
    [
        ("refs.json", '[{"id": "he2016", "type": "book", "title": "A"}]', '"id": "he2016"'),
        ("refs.yaml", "references:\n- id: he2016\n  type: book\n  title: A\n", "id: he2016"),
    ],
)
def test_bibliography_in_csl_is_what_pandoc_reads(tmp_path, file, text, second):
    config = CONFIG.replace("refs.bib", file)
    files = {**FILES, CONF: config, file: text}
    assert found(write_files(tmp_path / "right", files)) == []
    other = {**files, file: text.replace("he2016", "he2017")}
    missing = found(write_files(tmp_path / "wrong", other))
    assert [(f, n) for f, n, _ in missing] == [(ONE, line_of(FIRST, "@he2016")), ("index.qmd", 3)]
    twice = {**FILES, CONF: CONFIG.replace("refs.bib", f"[refs.bib, {file}]"), file: text}
    assert found(write_files(tmp_path / "twice", twice)) == [
        (file, line_of(text, second), "источник he2016 уже описан: refs.bib:1")
    ]


def test_examples_are_no_citations(tmp_path):
    """pandoc numbers «(@good)»; a rule that looks for «@» would ask for a source."""
    index = INDEX + "\n(@good) Пример.\n\nКак в (@good).\n"
    assert found(write_files(tmp_path, {**FILES, "index.qmd": index})) == []


def test_a_cell_in_a_list_is_a_cell(tmp_path):
    second = FILES[TWO] + "\n1.  шаг\n\n    ```{python}\n    1 = 2\n    ```\n"
    (finding,) = found(write_files(tmp_path, {**FILES, TWO: second}))
    assert finding[1] == line_of(second, "    1 = 2")
    assert "ошибка Python" in finding[2]


def _first_changed_line(before: str, after: str) -> int:
    pairs = zip(before.split("\n"), after.split("\n"), strict=False)
    return next(number for number, (a, b) in enumerate(pairs, 1) if a != b)


def test_book_that_names_its_readers_refuses_plain_open(tmp_path):
    """``open`` is recorded, so it is refused only where ``_quarto.yml`` names other readers."""
    code = 'open("a.txt")\nfrom pathlib import Path\nPath("a").read_text()'
    second = FILES[TWO].replace('print("ok")', code)
    assert found(write_files(tmp_path, {**FILES, TWO: second})) == []
    config = CONFIG + "pixgrad:\n  readers: [book.data]\n"
    findings = found(write_files(tmp_path, {**FILES, TWO: second, CONF: config}))
    assert [line for _, line, _ in findings] == [line_of(second, "open("), line_of(second, "Path(")]
    assert all("читайте через book.data" in message for _, _, message in findings)


@pytest.mark.parametrize("call, seen", [("open", True), ("cv2", False), ("pyarrow", False)])
def test_seen_readers_are_those_that_raise_the_open_event(tmp_path, call, seen):
    """The two lists of readers against what Python's audit hook really sees."""
    file = tmp_path / "x.bin"
    file.write_bytes(b"0")
    calls = {
        "open": f"open({str(file)!r}).read()",
        "cv2": f"import cv2; cv2.imread({str(file)!r})",
        "pyarrow": f"import pyarrow; pyarrow.OSFile({str(file)!r}).read()",
    }
    if call != "open":
        pytest.importorskip(call)
    code = (
        "import sys; seen = []\n"
        f"sys.addaudithook(lambda e, a: seen.append(a[0]) if e == 'open' else None)\n"
        f"{calls[call]}\nprint({str(file)!r} in seen)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(seen)


def test_figure_of_an_unlabelled_cell_needs_alt(tmp_path):
    """Only the executed markdown tells that a cell draws."""
    root = write_files(tmp_path, FILES)
    page = Book(project.load(root)).pages[2]
    before, cell, after = page.chapter.document.blocks
    picture = "![](02-second_files/figure-html/cell-1-output-1.svg)"
    executed = f"{before.text}::: {{#a .cell execution_count=1}}\n{picture}\n:::\n{after.text}"
    results = root / "_freeze/chapters/02-second/execute-results/html.json"
    results.parent.mkdir(parents=True)
    frozen = {"hash": page.chapter.document.md5, "result": {"markdown": executed}}
    results.write_text(json.dumps(frozen), "utf-8")
    (finding,) = found(root)
    assert finding[:2] == (TWO, cell.line)
    assert "описания для незрячих" in finding[2]


def test_reference_book_gives_its_true_findings_only():
    """Quarto's own output shows both faults: no alt of the pair, the citation of the index lost."""
    expected = json.loads((REFERENCE / "expected-html.json").read_text("utf-8"))
    assert [alt for alt, _ in expected["chapters/02-nets.html"]["images"]] == [None, None]
    assert expected["index.html"]["citations"] == []
    assert found(REFERENCE) == [
        ("chapters/02-nets.qmd", 35, "у fig-pair нет описания для незрячих (fig-alt)"),
        ("index.qmd", 3, "после @sec-nets вплотную стоит [@…]: вставьте слово или запятую"),
    ]


def test_command_exits_with_1_and_prints_file_line_message(tmp_path):
    result = CliRunner().invoke(app, ["check", "--project", str(REFERENCE)])
    assert result.exit_code == 1
    assert result.stdout.splitlines()[1].startswith("index.qmd:3: после @sec-nets")
    clean = CliRunner().invoke(app, ["check", "--project", str(write_files(tmp_path, FILES))])
    assert clean.exit_code == 0
    assert clean.stdout == "всё в порядке: страниц 3, ячеек 2, формул 4, ссылок 12\n"


def test_reference_book_headings_are_known(tmp_path):
    """Links to every anchor of Quarto's own page are taken, to another one refused."""
    root = shutil.copytree(REFERENCE, tmp_path / "book")
    page = Book(project.load(root)).pages[1]
    assert {"sec-sift", "sec-dog", "подподраздел-без-метки", "eq-gauss", "fig-plot"} <= page.ids
