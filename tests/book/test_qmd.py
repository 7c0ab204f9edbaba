"""The qmd parser against generated chapters: nothing lost, and what is code stays code."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pixgrad.book.ledger import qmd
from pixgrad.book.ledger.qmd import Cell, Prose
from pixgrad.errors import SourceError

REFERENCE = Path(__file__).parents[1] / "quarto-reference"
LINE = st.text(st.sampled_from(list("aЯ #|`~:-{}<>!$^\t\u2028\x0c")), max_size=8)
HARMLESS = LINE.filter(
    lambda line: not line.lstrip().startswith(("```", "~~~", ":::", "<!--", "---"))
)
PROSE = st.lists(HARMLESS, max_size=5).map(lambda lines: "".join(f"{line}\n" for line in lines))
CODE = st.lists(
    LINE.filter(lambda line: "```" not in line and not line.startswith("#|")), max_size=5
)
OPTIONS = st.lists(
    st.sampled_from(["label: fig-a", "echo: false", 'fig-cap: "Текст: #|"']), max_size=3
)
TICKS = st.integers(3, 5)


@st.composite
def cells(draw):
    """(text of a cell, its option lines, its source)."""
    options, code, ticks = draw(OPTIONS), draw(CODE), "`" * draw(TICKS)
    lines = [f"#| {option}" for option in options] + code
    text = "".join(f"{line}\n" for line in [ticks + "{python}", *lines, ticks])
    return text, options, "\n".join(code)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(PROSE, cells()), max_size=4), PROSE)
def test_generated_chapter_is_split_where_it_was_joined(pieces, tail):
    text = "# Глава\n" + "".join(prose + cell for prose, (cell, _, _) in pieces) + tail
    document = qmd.parse(text)
    assert document.text == text
    assert [cell.text for cell in document.cells] == [cell for _, (cell, _, _) in pieces]
    for cell, (_, (_, options, source)) in zip(document.cells, pieces, strict=True):
        assert cell.source == source
        assert cell.options_yaml == "".join(f"{option}\n" for option in options)
        if source:
            assert text.split("\n")[cell.source_line - 1] == source.split("\n")[0]
    prose = "".join(block.text for block in document.blocks if isinstance(block, Prose))
    assert prose == "# Глава\n" + "".join(prose for prose, _ in pieces) + tail


@given(st.lists(st.sampled_from([
    "```", "````", "~~~", "```{python}", "```python", "::: {.callout-note}", ":::", "---",
    "<!--", "-->", "#| echo: false", "# Title {#sec-a}", "text", "", "  ```", "\u2028", "\x0c",
]), max_size=12))  # fmt: skip
def test_any_lines_come_back_whole_or_are_refused_with_a_line(lines):
    text = "\n".join(lines)
    try:
        document = qmd.parse(text, "x.qmd")
    except SourceError as error:
        assert error.file == "x.qmd" and 1 <= error.line <= len(lines)
        return
    assert document.text == text
    number = 1 + document.text[: len(text) - sum(len(b.text) for b in document.blocks)].count("\n")
    for block in document.blocks:
        assert block.line == number
        number += block.text.count("\n")
        if isinstance(block, Cell):
            assert block.text.lstrip().startswith("```{python}")


@pytest.mark.parametrize("chapter", ["01-sift", "02-nets"])
def test_hash_is_that_of_the_real_freeze(chapter):
    """Quarto's own ``_freeze`` holds the md5 of the chapters it executed."""
    frozen = REFERENCE / "_freeze" / "chapters" / chapter / "execute-results" / "html.json"
    document = qmd.read(REFERENCE / "chapters" / f"{chapter}.qmd")
    assert document.md5 == json.loads(frozen.read_text("utf-8"))["hash"]


@pytest.mark.parametrize(
    ("content", "line", "words"),
    [
        (b"# A\n\n```{python}\n1\n", 3, "не закрыт"),
        (b"---\ntitle: A\n", 1, "не закрыт"),
        (b"# A\n\xff\n", 2, "UTF-8"),
        (b"# A\n\n<!-- text\n", 3, "не закрыт"),
        (b"# A\n\n{{< include x.qmd >}}\n", 3, "x.qmd"),
        (b"# A\n\n{{< include a.qmd >}}\n", 3, "сам себя"),
    ],
)
def test_a_broken_file_is_refused_with_its_line(tmp_path, content, line, words):
    path = tmp_path / "a.qmd"
    path.write_bytes(content)
    with pytest.raises(SourceError) as caught:
        qmd.read(path, shown_as="chapters/a.qmd")
    assert str(caught.value).startswith(f"chapters/a.qmd:{line}: ")
    assert words in str(caught.value)


def test_windows_line_ends_and_a_mark_of_the_byte_order_are_taken_off(tmp_path):
    text = "# A\n\ntext\n\n```{python}\n1\n```\n"
    (tmp_path / "a.qmd").write_bytes(b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode())
    assert qmd.read(tmp_path / "a.qmd") == qmd.parse(text)


CELLS = """\
1. item

   ```{python}

   #| echo: false
   #|label: fig-a
   if True:
       1
   ```

- ```{python}
  not one
  ```

> ```{python}
> not one
> ```

```{python eval=FALSE}
2
```

```{python, echo=FALSE}
3
```

    ```{python}
    4
    ```

~~~{python}
not one
~~~

```{ python }
not one
```

```{{python}}
not one
```

```{r}
not one
```

<!--
```{python}
5
```
-->
"""


def test_cells_are_what_quarto_takes_for_cells():
    document = qmd.parse(CELLS)
    assert document.text == CELLS
    assert [cell.source for cell in document.cells] == ["if True:\n    1", "2", "3", "4", "5"]
    first = document.cells[0]
    assert (first.options_yaml, first.indent) == ("\necho: false\nlabel: fig-a\n", "   ")
    assert CELLS.split("\n")[first.source_line - 1] == "   if True:"


def test_options_end_at_an_empty_line():
    cell = qmd.parse("```{python}\n#| echo: false\n\n#| output: false\n1\n```\n").cells[0]
    assert (cell.options_yaml, cell.source) == ("echo: false\n", "\n#| output: false\n1")


def test_code_in_a_line_is_run_where_there_are_cells():
    text = "A `{python} x + 1` and `{r} y`.\n\n```\n`{python} no`\n```\n\n"
    assert qmd.parse(text).runs == []
    runs = qmd.parse(text + "```{python}\n1\n```\n").runs
    assert [run.source for run in runs] == ["x + 1", "1"]
    assert runs[0].text == "`{python} x + 1`"


def test_what_is_included_is_part_of_the_chapter_and_is_told_by_its_own_line(tmp_path):
    (tmp_path / "parts").mkdir()
    (tmp_path / "chapters").mkdir()
    (tmp_path / "chapters/a.qmd").write_text("# A\n\n{{< include ../parts/b.qmd >}}\n\nend\n")
    (tmp_path / "parts/b.qmd").write_text("## B\n\n{{< include /parts/c.qmd >}}\n")
    (tmp_path / "parts/c.qmd").write_text("text\n\n```{python}\n1\n```\n")
    document = qmd.read(tmp_path / "chapters/a.qmd", "chapters/a.qmd")
    assert [heading.title for heading in document.headings()] == ["A", "B"]
    (cell,) = document.cells
    error = document.located(SourceError("x", "chapters/a.qmd", cell.line))
    assert (error.file, error.line) == ("parts/c.qmd", 3)
    alone = qmd.parse((tmp_path / "chapters/a.qmd").read_text())
    assert document.md5 == alone.md5
