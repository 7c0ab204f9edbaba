"""The ``pixgrad`` command. Each command imports what it needs itself: the light ones start fast."""

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


@app.command()
def freeze(
    project: ProjectDir = Path(),
    check: Annotated[
        bool, typer.Option("--check", help="Только проверить: что устарело и из-за чего.")
    ] = False,
    accept_sources: Annotated[
        bool, typer.Option("--accept-sources", help="Разрешить смену источника данных.")
    ] = False,
    jobs: Annotated[int, typer.Option(min=1, help="Сколько глав исполнять сразу.")] = 2,
) -> None:
    """Исполнить изменившиеся главы и записать _freeze."""
    from pixgrad.book import freeze as command

    command.freeze_book(project, check=check, accept_sources=accept_sources, jobs=jobs)


@app.command()
def render(
    project: ProjectDir = Path(),
    engine: Annotated[str, typer.Option(help="auto, quarto или pandoc.")] = "auto",
    to: Annotated[str, typer.Option(help="Форматы через запятую: html, pdf, ipynb.")] = "html,pdf",
) -> None:
    """Собрать сайт, PDF и блокноты из _freeze в _book."""
    from pixgrad.book import render as command

    command.render_book(project, engine=engine, formats=to.split(","))


@app.command()
def notebooks(project: ProjectDir = Path()) -> None:
    """Записать главы как блокноты Colab в notebooks/."""
    from pixgrad.book import notebooks as command

    command.write_notebooks(project)


@app.command()
def check(project: ProjectDir = Path()) -> None:
    """Найти в книге то, о чём Quarto молчит."""
    from pixgrad.book import check as command

    command.check_book(project)


@app.command()
def doctor(project: ProjectDir = Path()) -> None:
    """Сказать, что установлено и что с этим можно сделать."""
    from pixgrad.book import doctor as command

    command.report(project)


def main() -> None:
    """Run the command; a ``PixgradError`` becomes one line on stderr and exit code 1."""
    try:
        app()
    except PixgradError as error:
        sys.exit(f"pixgrad: {error}")


if __name__ == "__main__":
    main()
