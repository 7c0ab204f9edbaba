"""``pixgrad --help``: every command in two languages, with examples that can be typed."""

from __future__ import annotations

import importlib
import re
import shlex

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from pixgrad import cli, cli_help
from pixgrad.errors import LANGUAGE

CYRILLIC = re.compile("[А-Яа-яЁё]")


@pytest.fixture(params=["ru", "en"])
def spoken(request, monkeypatch):
    """(language, the command line in it)."""
    monkeypatch.setenv(LANGUAGE, request.param)
    yield request.param, importlib.reload(cli).app
    monkeypatch.undo()
    importlib.reload(cli)


def test_every_help_is_in_the_language_asked_for(spoken):
    language, app = spoken
    commands = get_command(app).commands
    assert commands.keys() == cli_help.COMMANDS.keys()
    for name, command in commands.items():
        said = [command.help, *(one.help for one in command.params if one.name != "help")]
        assert all(said), name
        for text in said:
            words = re.sub(r"[\w./-]*pixgrad [^\n]*", "", text)
            assert bool(CYRILLIC.search(words)) == (language == "ru") or not re.search(
                r"[A-Za-z]{3}", re.sub(r"auto|quarto|pandoc|smoke|report|paper", "", words)
            ), (name, text)
        shown = CliRunner().invoke(app, [name, "--help"])
        assert shown.exit_code == 0
        assert {"ru": "Примеры:", "en": "Examples:"}[language] in shown.output


@pytest.mark.parametrize(
    "typed", [example[0] for _, _, *examples in cli_help.COMMANDS.values() for example in examples]
)
def test_examples_can_be_typed(typed):
    for line in typed.split("&&"):
        program, name, *arguments = shlex.split(line)
        assert program == "pixgrad"
        command = get_command(cli.app).commands[name]
        context = command.make_context(name, arguments, resilient_parsing=False)
        assert context.args == []
