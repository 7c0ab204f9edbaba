"""The ``pixgrad`` command. Every command imports what it needs itself, so that the light ones start fast."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from pixgrad.errors import PixgradError

app = typer.Typer(
    help="От пикселя до градиента: опыты и книга.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

ProjectDir = Annotated[Path, typer.Option("--project", help="Папка книги Quarto.")]


def main() -> None:
    """Run the command; a ``PixgradError`` becomes one line on stderr and exit code 1."""
    try:
        app()
    except PixgradError as error:
        sys.exit(f"pixgrad: {error}")


if __name__ == "__main__":
    main()
