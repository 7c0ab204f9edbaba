"""The bar of long commands: it changes nothing that it shows and leaves stdout alone."""

import pytest

from pixgrad.progress import shown


def test_items_pass_unchanged_and_the_bar_tells_its_title(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")  # a terminal, for rich
    monkeypatch.setenv("TERM", "xterm")
    assert list(shown(iter("abc"), "страницы", 3)) == ["a", "b", "c"]
    told = capsys.readouterr()
    assert told.out == ""
    assert "страницы" in told.err
    assert "100%" in told.err
