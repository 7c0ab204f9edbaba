"""``pixgrad reproduce``: what is the same is said to be, what is not is found and named."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tiny_books import cell, chapter, write, write_book
from tiny_books import pixgrad as command

import pixgrad
from pixgrad.book.executing import reproduce

VALUE = "from numbers_of import VALUE\nprint('Всего', VALUE, 'пикселей')"
PLOT = """\
import matplotlib.pyplot as plt
from numbers_of import VALUE
plt.plot([0, VALUE])
plt.show()"""


CODE = Path(pixgrad.__file__).parents[1]


def run(root: Path, *arguments: str):
    return command(root, *arguments, PYTHONPATH=str(CODE))


@pytest.fixture(scope="module")
def book(tmp_path_factory: pytest.TempPathFactory) -> Path:
    chapters = {
        "chapters/text.qmd": chapter("Текст", cell(VALUE)),
        "chapters/plot.qmd": chapter("Рисунок", cell(PLOT, "label: fig-a", "fig-cap: а")),
        "chapters/still.qmd": chapter("Стоит", cell("print(2 + 2)")),
    }
    root = write_book(
        tmp_path_factory.mktemp("book"), chapters, {"code/numbers_of.py": "VALUE = 2.5\n"}
    )
    assert run(root, "freeze").returncode == 0
    return root


def changed(book: Path, value: str, *arguments: str):
    """The book reproduced while its module says something else."""
    write(book / "code/numbers_of.py", f"VALUE = {value}\n")
    before = {path: path.read_bytes() for path in (book / "_freeze").rglob("*") if path.is_file()}
    done = run(book, "reproduce", *arguments)
    write(book / "code/numbers_of.py", "VALUE = 2.5\n")
    after = {path: path.read_bytes() for path in (book / "_freeze").rglob("*") if path.is_file()}
    assert before == after
    return done


def test_the_same_book_is_the_same(book: Path) -> None:
    done = changed(book, "2.5")
    assert done.returncode == 0
    assert done.stdout.count("то же, байт в байт") == 3


def test_a_number_that_moved_is_named(book: Path) -> None:
    done = changed(book, "2.6")
    assert done.returncode == 1
    assert "chapters/text.qmd: ИНОЕ" in done.stdout and "было 2.5, стало 2.6" in done.stdout
    assert "chapters/plot.qmd: ИНОЕ" in done.stdout and "fig-a" in done.stdout
    assert "chapters/still.qmd: то же, байт в байт" in done.stdout
    assert "не повторилось: chapters/text.qmd, chapters/plot.qmd" in done.stderr
    assert "было 2.5, стало 2.6" in (book / "reproduction.md").read_text("utf-8")


def test_a_small_move_is_within_the_tolerance(book: Path) -> None:
    done = changed(book, "2.5000000001", "--tolerance", "1e-6")
    assert "chapters/text.qmd: то же: чисел с разницей" in done.stdout


def test_a_chapter_that_fails_is_told_and_the_others_compared(book: Path) -> None:
    done = changed(book, "1 / 0")
    assert done.returncode == 1
    assert "chapters/text.qmd: не исполнилась: " in done.stdout
    assert "chapters/still.qmd: то же, байт в байт" in done.stdout


def test_without_a_freeze_there_is_nothing_to_compare(tmp_path: Path) -> None:
    root = write_book(tmp_path, {"a.qmd": chapter("А", cell("print(1)"))})
    done = run(root, "reproduce")
    assert done.returncode == 1 and "нет _freeze" in done.stderr


def test_other_words_differ_however_wide_the_tolerance() -> None:
    found = reproduce.Comparison("a")
    reproduce.compare_text("ответ: кот 5", "ответ: пёс 5", "текст", found)
    assert not found.same(1.0) and "кот" in found.where[0]


def test_pixels_are_compared_by_value() -> None:
    found = reproduce.Comparison("a")
    image = np.full((4, 4, 3), 100, np.uint8)
    reproduce.compare_pictures(_png(image), _png(image + np.uint8(51)), "a.png", found)
    assert found.largest == pytest.approx(51 / 255) and found.numbers == 16
    reproduce.compare_pictures(_png(image), _png(image[:2]), "b.png", found)
    assert found.text_differs


def _png(image: np.ndarray) -> bytes:
    file = BytesIO()
    Image.fromarray(image).save(file, "PNG")
    return file.getvalue()
