"""What a terminal would show of a text: control characters applied, colours as runs of styles.

Carriage returns, backspaces and movements of the cursor write over what stands there; addresses of
links (OSC), bells and other control characters go; of the colours and of bold type (SGR) the text
keeps runs, which ``html`` writes as Quarto does.
"""

import html as html_text
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\x9b\x9d]")
_SEQUENCE = re.compile(
    r"\x1b\](?:[^\x07\x1b]|\x1b(?!\\))*(?:\x07|\x1b\\|$)"  # OSC: the title, a link
    r"|(?:\x1b\[|\x9b)(?P<numbers>[0-9;:]*)[ -/<=>?!]*[0-9;]*(?P<command>[@-~])"
    r"|\x1b[PX^_].*?(?:\x1b\\|$)|\x1b.?",
    re.S,
)
_NAMES = ("black", "red", "green", "yellow", "blue", "magenta", "cyan", "white")
_LEVELS = (0, 95, 135, 175, 215, 255)
_LAST_COLUMN = 10_000
"""No cursor goes farther to the right."""


@dataclass
class _Screen:
    """Lines of (character, number of its run)."""

    lines: list[list[tuple[str, int]]] = field(default_factory=lambda: [[]])
    row: int = 0
    column: int = 0

    def write(self, text: str, run: int) -> None:
        line = self.lines[self.row]
        line.extend([(" ", run)] * (self.column - len(line)))
        line[self.column : self.column + len(text)] = [(char, run) for char in text]
        self.column += len(text)

    def control(self, char: str) -> None:
        if char == "\r":
            self.column = 0
        elif char == "\b":
            self.column = max(self.column - 1, 0)

    def new_line(self) -> None:
        self.row, self.column = self.row + 1, 0
        if self.row == len(self.lines):
            self.lines.append([])

    def move(self, command: str, number: int | None) -> None:
        """Cursor movements and erasing, as far as programs that draw progress use them."""
        steps = number or 1
        line = self.lines[self.row]
        if command in "AF":
            self.row = max(self.row - steps, 0)
        elif command in "BE":
            self.row = min(self.row + steps, len(self.lines) - 1)
        elif command == "C":
            self.column = min(self.column + steps, _LAST_COLUMN)
        elif command == "D":
            self.column = max(self.column - steps, 0)
        elif command == "G":
            self.column = min(steps, _LAST_COLUMN) - 1
        elif command == "K" and number == 2:
            line.clear()
        elif command == "K" and number == 1:
            line[: self.column] = [(" ", 0)] * min(self.column, len(line))
        elif command == "K":
            del line[self.column :]
        elif command == "J" and number in (2, 3):
            self.lines, self.row, self.column = [[]], 0, 0
        elif command == "J":
            del line[self.column :], self.lines[self.row + 1 :]
        if command in "EF":
            self.column = 0


def plain(text: str) -> str:
    """The text without control characters and colours."""
    if not _CONTROL.search(text):
        return text
    return "".join(part for part, _ in _runs(text))


def html(text: str) -> str | None:
    """HTML of the text inside ``<pre>``; None if it has no colours."""
    if "\x1b[" not in text and "\x9b" not in text:
        return None
    runs = list(_runs(text))
    if not any(style for _, style in runs):
        return None
    return "".join(_span(part, style) for part, style in runs)


def _runs(text: str) -> Iterator[tuple[str, dict[str, str]]]:
    """(text, style) of what the screen shows at the end."""
    screen, styles = _Screen(), [{}]
    position = 0
    while position < len(text):
        found = _CONTROL.search(text, position)
        stop = found.start() if found else len(text)
        for number, line in enumerate(text[position:stop].split("\n")):
            if number:
                screen.new_line()
            screen.write(line, len(styles) - 1)
        if found is None:
            break
        sequence = _SEQUENCE.match(text, stop)
        if sequence is None:
            screen.control(found[0])
        elif sequence["command"] == "m":
            styles.append(_styled(styles[-1], sequence["numbers"]))
        elif sequence["command"]:
            number = re.match(r"\d+", sequence["numbers"])
            screen.move(sequence["command"], int(number[0]) if number else None)
        position = sequence.end() if sequence else stop + 1
    for number, line in enumerate(screen.lines):
        if number:
            yield "\n", {}
        for run, chars in groupby(line, lambda cell: cell[1]):
            yield "".join(char for char, _ in chars), styles[run]


def _styled(style: dict[str, str], numbers: str) -> dict[str, str]:
    """The style after ``ESC [ numbers m``."""
    style = dict(style)
    codes = [int(code or 0) for code in re.split("[;:]", numbers)]
    while codes:
        code = codes.pop(0)
        if code == 0:
            style.clear()
        elif code in (38, 48):
            name = "color" if code == 38 else "background-color"
            style[name], codes = _palette(codes)
        elif code in _SWITCHES:
            style["text"] = " ".join(dict.fromkeys([*style.get("text", "").split(), str(code)]))
        elif code == 22:
            style.pop("text", None)
        elif code in (39, 49):
            style.pop("color" if code == 39 else "background-color", None)
        elif 30 <= code <= 37 or 90 <= code <= 97:
            style["color"] = ("bright-" if code >= 90 else "") + _NAMES[code % 10]
        elif 40 <= code <= 47 or 100 <= code <= 107:
            style["background-color"] = ("bright-" if code >= 100 else "") + _NAMES[code % 10]
    return style


_SWITCHES = {
    1: ("bold", "font-weight:bold"),
    2: ("faint", "opacity:0.7"),
    3: ("italic", "font-style:italic"),
    4: ("underline", "text-decoration:underline"),
}


def _palette(codes: Sequence[int]) -> tuple[str, list[int]]:
    """The colour after 38 or 48, and the codes behind it."""
    if codes[:1] == [2] and len(codes) >= 4:
        red, green, blue = codes[1:4]
        return f"rgb({red},{green},{blue})", list(codes[4:])
    if codes[:1] != [5] or len(codes) < 2:
        return "", []
    number, rest = codes[1], list(codes[2:])
    if number < 16:
        return ("bright-" if number > 7 else "") + _NAMES[number % 8], rest
    if number > 231:
        grey = 8 + 10 * (number - 232)
        return f"rgb({grey},{grey},{grey})", rest
    number -= 16
    levels = (_LEVELS[number // 36], _LEVELS[number // 6 % 6], _LEVELS[number % 6])
    return "rgb({},{},{})".format(*levels), rest


def _span(text: str, style: dict[str, str]) -> str:
    shown = html_text.escape(text, quote=False)
    colors = {name: style[name] for name in ("color", "background-color") if style.get(name)}
    switches = [_SWITCHES[int(code)] for code in style.get("text", "").split()]
    if not text or not (colors or switches):
        return shown
    if any(value.startswith("rgb") for value in colors.values()):
        named = [rule for _, rule in switches]
        named += [f"{name}:{value.removeprefix('bright-')}" for name, value in colors.items()]
        return f'<span style="{";".join(named)}">{shown}</span>'
    classes = [
        f"ansi-{value}-{'fg' if name == 'color' else 'bg'}" for name, value in colors.items()
    ]
    classes += [f"ansi-{name}" for name, _ in switches]
    return f'<span class="{" ".join(classes)}">{shown}</span>'
