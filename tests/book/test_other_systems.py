"""What Linux alone offers has a stand-in: macOS has no /proc, no exchange of folders, no renameat2.

Kernels that start others by spawn: ``test_unseen.py``; two renames instead of an exchange:
``test_files.py`` and ``test_crash.py``; line ends of Windows: ``test_freeze.py``, ``test_qmd.py``.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from pixgrad import files
from pixgrad.book.executing import freeze
from pixgrad.errors import PixgradError
from pixgrad.results import records
from pixgrad.sift import image


@pytest.fixture
def no_proc(monkeypatch):
    read = Path.read_text

    def elsewhere(path, *options, **named):
        if path.parts[1:2] == ("proc",):
            raise FileNotFoundError(2, "No such file or directory", str(path))
        return read(path, *options, **named)

    monkeypatch.setattr(Path, "read_text", elsewhere)


def test_without_proc_the_processor_has_a_name_and_memory_is_not_known(no_proc):
    assert records.device()
    assert image._available_memory() is None


def test_without_exchange_a_folder_is_replaced_all_the_same(tmp_path, monkeypatch):
    monkeypatch.setattr("sys.platform", "darwin")
    for version in ("old", "new"):
        with files.replacing(tmp_path / "site") as folder:
            files.write(folder / "page", version)
    assert (tmp_path / "site" / "page").read_text() == "new"
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == ["site"]


def test_backslashes_of_windows_in_the_list_of_chapters_are_named(tmp_path):
    config = "project: {type: book}\nbook:\n  chapters:\n    - index.qmd\n    - 'chapters\\a.qmd'\n"
    (tmp_path / "_quarto.yml").write_text(config, "utf-8")
    (tmp_path / "index.qmd").write_text("# A\n", "utf-8")
    with pytest.raises(PixgradError, match=r"^_quarto.yml:5: глава chapters\\a\.qmd"):
        freeze.freeze_book(tmp_path, check=True)
