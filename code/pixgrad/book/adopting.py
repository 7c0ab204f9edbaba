"""``pixgrad init``: what a book of Quarto's needs so that its chapters are executed by ``freeze``.

Only lines are added, each with a mark; where a line has to change, the mark keeps what it was. So
comments and layout stay, and ``--remove`` brings every file back to the byte.
"""

import difflib
import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import typer
import yaml

from pixgrad import files
from pixgrad.book.source import project as books
from pixgrad.book.source.metadata import CONFIG, load_yaml
from pixgrad.errors import PixgradError, SourceError, say

STEP = "python -m pixgrad.book.prerender"
"""Quarto runs it before it looks at ``_freeze``."""

_OWN = ("pixgrad.book.prerender", "pixgrad/book/prerender.py")
_MARK = "# pixgrad init"
_MARKED = re.compile(rf"^.*?{_MARK}(?:: (?P<before>.*))?$")
_BEGIN, _END, _NEW = f"{_MARK}: begin", f"{_MARK}: end", " (new file)"
_ATTRIBUTES = ("*.qmd text eol=lf", "_freeze/** linguist-generated=true")
_IGNORED = ("/.quarto/", "/.cache/", "/_freeze/site_libs/", "**/*.quarto_ipynb")


def adopt(root: Path | str = ".", remove: bool = False, dry_run: bool = False) -> None:
    """Add the step before rendering and what git has to know to a book, or take it back.

    Parameters
    ----------
    root : folder with ``_quarto.yml``.
    remove : take back what was added, nothing else.
    dry_run : only show what would change.

    Raises
    ------
    SourceError : no book; a place of ``_quarto.yml`` that cannot be changed safely.
    """
    root = Path(root)
    if not remove or not (root / CONFIG).is_file():
        output = books.load(root).get("project", "output-dir") or "_book"
    ignored = (*_IGNORED, *(["/_book/"] if not remove and output == "_book" else []))
    edits: dict[str, Callable[[str], str]] = {
        CONFIG: configured,
        ".gitattributes": lambda text: listed(text, _ATTRIBUTES),
        ".gitignore": lambda text: listed(text, ignored),
    }
    changed: dict[str, tuple[str, str | None]] = {}
    for name, edit in edits.items():
        old = _read(root / name)
        new = _restored(old) if remove else edit(_restored(old) or "")
        if not remove and name != CONFIG and (old is None or _is_own(old)):
            new = new.replace(_BEGIN, _BEGIN + _NEW, 1)
        if new != old and (new or old):
            changed[name] = old or "", new
    for name, (old, new) in changed.items():
        _change(root / name, old, new, dry_run)
    _tell(changed, remove, dry_run)


def configured(text: str) -> str:
    """``_quarto.yml`` with the step after the author's own, and ``freeze: auto``.

    Raises
    ------
    SourceError : a place that cannot be changed safely: what to write there by hand.
    """
    mark, text = _bom(text)
    before, _ = load_yaml(text, CONFIG)
    _with_freeze(text)  # what it refuses, it refuses with a line of the file as it is
    result = _with_freeze(_with_step(text))
    after, _ = load_yaml(result, CONFIG)
    if after != _expected(before):
        raise _by_hand(None)
    return mark + result


def listed(text: str, wanted: Sequence[str]) -> str:
    """A file of git's with the lines that it lacks on top: there the author's own win."""
    there = {line.strip().strip("/") for line in _bom(text)[1].split("\n")}
    missing = [line for line in wanted if line.strip("/") not in there]
    if not missing:
        return text
    mark, rest = _bom(text)
    return mark + _eol(text).join([_BEGIN, *missing, _END, rest])


# _quarto.yml ---------------------------------------------------------------------------------


def _with_step(text: str) -> str:
    key, node = _value(_root(text), "project")
    if not isinstance(node, yaml.MappingNode):
        raise _by_hand(key)
    own_key, own = _value(node, "pre-render")
    if own is None:
        return _with_key(text, node, f"pre-render: {STEP}")
    commands = own.value if isinstance(own, yaml.SequenceNode) else [own]
    if any(part in str(one.value) for one in commands for part in _OWN):
        return text
    if isinstance(own, yaml.SequenceNode) and not own.flow_style:
        line = " " * own.start_mark.column + f"- {STEP} {_MARK}"
        return _with_line(text, own.value[-1].end_mark.line + 1, line)
    if isinstance(own, yaml.SequenceNode):
        return _with_item(text, own, STEP)
    if not isinstance(own, yaml.ScalarNode) or own.style in ("|", ">"):
        raise _by_hand(own_key)
    start = own_key.start_mark
    shown = f"[{json.dumps(own.value, ensure_ascii=False)}, {STEP}]" if own.value else STEP
    end = own.end_mark.index if own.value else own_key.end_mark.index + 1
    return _with_change(text, start.line, start.index, end, f"pre-render: {shown}")


def _with_freeze(text: str) -> str:
    root = _root(text)
    key, node = _value(root, "execute")
    if node is None:
        lines = [f"execute: {_MARK}", f"  freeze: auto {_MARK}"]
        # An end without a line end may belong to a text: nothing is put behind it.
        place = _value(root, "project")[0].start_mark.line
        place = len(_lines(text)) if text.endswith("\n") else place
        return _with_line(text, place, _eol(text).join(lines))
    if isinstance(node, yaml.ScalarNode) and not node.value:
        end = key.end_mark.index + 1
        changed = "execute: {freeze: auto}"
        return _with_change(text, key.start_mark.line, key.start_mark.index, end, changed)
    if not isinstance(node, yaml.MappingNode):
        raise _by_hand(key)
    freeze_key, freeze = _value(node, "freeze")
    if freeze is None:
        return _with_key(text, node, "freeze: auto")
    if freeze.value not in ("auto", "true"):
        raise SourceError(
            f"execute: freeze: {freeze.value}: Quarto не возьмёт готовое из _freeze; "
            "напишите freeze: auto",
            CONFIG,
            freeze_key.start_mark.line + 1,
            f"execute: freeze: {freeze.value}: Quarto would not take what _freeze holds; "
            "write freeze: auto",
        )
    return text


def _expected(config: dict[str, Any]) -> dict[str, Any]:
    given = config["project"].get("pre-render")
    commands = given if isinstance(given, list) else [given] if given else []
    if not any(part in str(one) for one in commands for part in _OWN):
        given = [*commands, STEP] if isinstance(given, list) or commands else STEP
    project = {**config["project"], "pre-render": given}
    return {
        **config,
        "project": project,
        "execute": {"freeze": "auto", **(config.get("execute") or {})},
    }


def _root(text: str) -> yaml.MappingNode:
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    if not isinstance(root, yaml.MappingNode) or root.flow_style:
        raise _by_hand(None)
    return root


def _value(node: yaml.MappingNode, name: str) -> tuple[Any, Any]:
    """The nodes of a key and of its value, or Nones."""
    return next(((key, value) for key, value in node.value if key.value == name), (None, None))


def _with_key(text: str, node: yaml.MappingNode, entry: str) -> str:
    """A mapping with one more key."""
    if node.flow_style:
        return _with_item(text, node, entry)
    first = node.value[0][0].start_mark
    return _with_line(text, first.line, " " * first.column + f"{entry} {_MARK}")


def _with_item(text: str, node: Any, item: str) -> str:
    """A list in brackets, or a mapping in braces, with one more item."""
    end = node.end_mark.index - 1
    comma = ", " if node.value else ""
    return _with_change(text, node.end_mark.line, end, end, comma + item)


def _with_line(text: str, number: int, line: str) -> str:
    """A line before line ``number`` (0-based); at the end of a file that has no line end there."""
    lines, eol = _lines(text), _eol(text)
    ends = not lines or lines[-1].endswith("\n")
    own = line + eol if number < len(lines) or ends else eol + line
    return "".join([*lines[:number], own, *lines[number:]])


def _with_change(text: str, number: int, start: int, end: int, new: str) -> str:
    """A line with ``text[start:end]`` replaced, and what it was after the mark."""
    old = _lines(text)[number]
    body = old.rstrip("\r\n")
    place = sum(map(len, _lines(text)[:number]))
    changed = body[: start - place] + new + body[end - place :]
    lines = _lines(text)
    lines[number] = f"{changed} {_MARK}: {body}" + old[len(body) :]
    return "".join(lines)


def _by_hand(key: Any) -> SourceError:
    line = key.start_mark.line + 1 if key else None
    return SourceError(
        f"это место не изменить надёжно; допишите сами в project: «pre-render: {STEP}», "
        "в execute: «freeze: auto»",
        CONFIG,
        line,
        f"this place cannot be changed safely; write below project: “pre-render: {STEP}”, "
        "below execute: “freeze: auto”",
    )


# Files ---------------------------------------------------------------------------------------


def _restored(text: str | None) -> str | None:
    """The text without what was added; None if there was no such file."""
    if text is None:
        return None
    mark, rest = _bom(text)
    result, inside = [], False
    for line in _lines(rest):
        body = line.rstrip("\r\n")
        marked = _MARKED.match(body)
        if body.startswith((_BEGIN, _END)):
            inside = body.startswith(_BEGIN)
        elif marked and marked["before"] is not None:
            result.append(marked["before"] + line[len(body) :])
        elif marked and not line.endswith("\n") and result:
            result[-1] = result[-1].rstrip("\n").rstrip("\r")  # it came with the line
        elif not marked and not inside:
            result.append(line)
    rest = mark + "".join(result)
    return None if not rest and _is_own(text) else rest


def _is_own(text: str) -> bool:
    """Whether the file did not exist before."""
    return _BEGIN + _NEW in text


def _read(path: Path) -> str | None:
    try:
        return path.read_bytes().decode("utf-8") if path.is_file() else None
    except UnicodeDecodeError:
        raise PixgradError(f"{path}: не UTF-8", f"{path}: not UTF-8") from None


def _change(path: Path, old: str, new: str | None, dry_run: bool) -> None:
    if dry_run:
        shown = difflib.unified_diff(
            old.splitlines(), (new or "").splitlines(), path.name, path.name, lineterm="", n=1
        )
        typer.echo("\n".join(shown))
    elif new is None:
        path.unlink()
    else:
        files.write(path, new)


def _tell(changed: Sequence[str], remove: bool, dry_run: bool) -> None:
    if not changed:
        typer.echo(say("Менять нечего.", "Nothing to change."))
    elif not dry_run:
        names = ", ".join(changed)
        typer.echo(say(f"Изменено: {names}", f"Changed: {names}"))
        if not remove:
            typer.echo(
                say(
                    "Дальше: pixgrad freeze — исполнить главы; затем quarto render (python с "
                    "pixgrad — на PATH) или pixgrad render",
                    "Next: pixgrad freeze executes the chapters; then quarto render (with the "
                    "python of pixgrad on PATH) or pixgrad render",
                )
            )


def _lines(text: str) -> list[str]:
    """Lines with their ends."""
    return re.findall(r"[^\n]*\n|[^\n]+", text)


def _bom(text: str) -> tuple[str, str]:
    """The mark at the beginning, if there is one, and the text."""
    mark = "\ufeff" * text.startswith("\ufeff")
    return mark, text.removeprefix(mark)


def _eol(text: str) -> str:
    return "\r\n" if "\r\n" in text else "\n"
