"""``pixgrad check``: the linter that Quarto lacks. Every finding has a file and a line."""

from dataclasses import replace
from pathlib import Path

import typer

from pixgrad.book.checking import cells, config, references, text
from pixgrad.book.checking.pages import Book, Finding, Rule
from pixgrad.book.rendering import words
from pixgrad.book.source import project as projects
from pixgrad.book.source.project import Project

HOUSE_STYLE: tuple[Rule, ...] = (
    text.prose_images,
    text.prose_tables,
    text.headings,
    cells.captions,
    cells.cell_labels,
    cells.file_readers,
    config.figure_settings,
    config.unlisted_chapters,
)
FAULTS: tuple[Rule, ...] = (
    config.unsupported,
    config.named_files,
    config.kernels,
    *references.RULES,
    text.broken_latex,
    cells.cell_options,
    cells.live_outputs,
)
"""What a reader of the book would miss or see wrong."""
RULES: tuple[Rule, ...] = (*config.RULES, *references.RULES, *text.RULES, *cells.RULES)


def check_book(root: Path | str) -> None:
    """Print the findings, one a line.

    Raises
    ------
    typer.Exit : with code 1 if there are any.
    SourceError : the book cannot be read at all.
    """
    book = Book(projects.load(root))
    found = findings(book)
    for finding in found:
        typer.echo(str(finding))
    if not all(finding.is_note for finding in found):
        raise typer.Exit(1)
    typer.echo(
        f"всё в порядке: страниц {len(book.pages)}, "
        f"ячеек {sum(len(page.cells) for page in book.pages)}, "
        f"формул {len(list(book.of('Math')))}, ссылок {references.count_references(book)}"
    )


def faults(project: Project) -> list[Finding]:
    """What comes out otherwise than it was written, in the order of files and lines."""
    book = Book(project)
    return sorted({finding for rule in FAULTS for finding in rule(book)})


def findings(book: Book) -> list[Finding]:
    """All findings in the order of files and lines.

    The style of this house binds Russian books; others are told of it, of Russian typography not.
    """
    if words.lang(book.project).split("-")[0] == "ru":
        return sorted({finding for rule in RULES for finding in rule(book)})
    russian = (*text.RUSSIAN, cells.english_comments)
    rules = [rule for rule in RULES if rule not in russian]
    return sorted(
        replace(finding, is_note=finding.is_note or rule in HOUSE_STYLE)
        for rule in rules
        for finding in set(rule(book))
    )
