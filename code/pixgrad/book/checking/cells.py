"""Cells: options, captions, alternative text, comments, and how their code reads files."""

import ast
import io
import re
import tokenize
from collections.abc import Iterator, Mapping

from pixgrad.book.checking.pages import Book, Finding, Page, PageCell
from pixgrad.book.executing.outputs import LIVING
from pixgrad.book.rendering.tree import is_crossref
from pixgrad.book.source import options
from pixgrad.errors import SourceError

_LINE = LIVING[: LIVING.index("{")]
_OTHER_HOST = re.compile(r"""(?:<script\b[^>]*\bsrc=|\bimport )["'](?:https?:)?//([^/"']+)""")
_PICTURE = re.compile(r"!\[[^\]]*\]\([^)]*\)(?P<attributes>\{[^}]*\})?")
_WORD = re.compile(r"[A-Za-z]{2,}")
_CYRILLIC = re.compile(r"[А-яЁё]")
_CAPTION_OF = {"fig-cap": "fig-", "tbl-cap": "tbl-"}


def _names(text: str) -> list[str]:
    return text.split()


UNSEEN_READERS = {
    "cv2.imread cv2.imreadmulti": "cv2.imdecode(numpy.fromfile(путь, numpy.uint8), …)",
    "duckdb": "duckdb.sql(…) над таблицей, прочитанной pandas",
    "h5py.File pandas.read_hdf tables.open_file": "h5py.File(open(путь, 'rb'))",
    "lxml.etree.parse lxml.etree.iterparse lxml.html.parse lxml.objectify.parse": (
        "lxml.etree.parse(open(путь, 'rb'))"
    ),
    "netCDF4.Dataset": "netCDF4.Dataset('x', memory=open(путь, 'rb').read())",
    "onnxruntime.InferenceSession": "onnxruntime.InferenceSession(open(путь, 'rb').read())",
    "pandas.read_parquet pandas.read_feather pandas.read_orc": (
        "pandas.read_parquet(open(путь, 'rb'))"
    ),
    "polars.read_ polars.scan_": "polars.read_csv(open(путь, 'rb'))",
    "pyarrow": "pyarrow.parquet.read_table(open(путь, 'rb'))",
    "safetensors": "safetensors.torch.load(open(путь, 'rb').read())",
    "soundfile.read torchaudio.load": "soundfile.read(open(путь, 'rb'))",
    "torch.jit.load": "torch.jit.load(open(путь, 'rb'))",
    "torchvision.io": "torchvision.io.decode_image(…) из байтов open(путь, 'rb')",
    "av.open cv2.FileStorage cv2.VideoCapture decord geopandas.read_file rasterio.open": "",
    "os.exec os.popen os.posix_spawn os.spawn os.system subprocess": "",
    "aiohttp ftplib httpx huggingface_hub requests socket torch.hub urllib.request": "",
}
"""Calls that read files, or let others read them, without Python's ``open`` event -> what serves.

Child processes that are Python are heard; other programs are not.
"""

SEEN_READERS = _names(
    "open io.open os.open sqlite3.connect numpy.load numpy.loadtxt numpy.genfromtxt "
    "numpy.fromfile numpy.memmap pandas.read_ PIL.Image.open imageio skimage.io skimage.data "
    "matplotlib.pyplot.imread matplotlib.image.imread torch.load torchvision.datasets "
    "sklearn.datasets.fetch_ sklearn.datasets.load_ json.load pickle.load"
)
"""Calls that raise the ``open`` event: refused only in a book that names its own readers."""
_READING_METHODS = ("read_text", "read_bytes")


def cell_options(book: Book) -> Iterator[Finding]:
    """Quarto ignores an unknown option, one of the wrong type, and one below the first code."""
    for page, cell in _cells(book):
        is_lenient = not book.project.is_strict
        try:
            for error, is_unknown in options.faults(cell.cell, page.file):
                line = error.line or cell.cell.line
                yield page.finding(line, error.message, is_unknown and is_lenient)
        except SourceError as error:
            yield page.finding(error.line or cell.cell.line, error.message)
        for offset, line in enumerate(cell.cell.source.split("\n")):
            if line.startswith("#|"):
                yield page.finding(
                    cell.cell.source_line + offset, f"«{line}» ниже кода: параметр не действует"
                )


def cell_labels(book: Book) -> Iterator[Finding]:
    """A label of the wrong form or kind gives a figure without a number."""
    for page, cell in _cells(book):
        line, label = cell.line_of("label"), cell.label
        if is_crossref(label) and not label.startswith(("fig-", "tbl-", "lst-")):
            yield page.finding(line, f"метка {label}: у ячейки бывают fig-, tbl- и lst-")
        for option, kind in _CAPTION_OF.items():
            if option in cell.options and not label.startswith(kind):
                yield page.finding(
                    cell.line_of(option), f"подпись {option} без метки {kind}…: номера не будет"
                )


def captions(book: Book) -> Iterator[Finding]:
    """Quarto takes figures and tables without a caption, and figures without alternative text."""
    for page, cell in _cells(book):
        line = cell.line_of("label")
        for option, kind in _CAPTION_OF.items():
            if cell.label.startswith(kind) and not cell.options.get(option):
                yield page.finding(line, f"у {cell.label} нет подписи ({option})")
        if cell.label.startswith("fig-") and not cell.options.get("fig-alt"):
            yield page.finding(line, f"у {cell.label} нет описания для незрячих (fig-alt)")
    for page in book.pages:
        for cell, executed in zip(page.cells, page.executed, strict=False):
            drawn = [picture["attributes"] or "" for picture in _PICTURE.finditer(executed)]
            if not cell.label.startswith("fig-") and any("fig-alt=" not in one for one in drawn):
                yield page.finding(
                    cell.cell.line, "ячейка рисует без описания для незрячих (label, fig-alt)"
                )


def english_comments(book: Book) -> Iterator[Finding]:
    """The reader of a Russian chapter gets Russian comments; short labels may stay English."""
    for page, cell in _cells(book):
        for line, comment in _comments(cell):
            if not _CYRILLIC.search(comment) and len(_WORD.findall(comment)) > 3:
                yield page.finding(line, f"комментарий не по-русски: {comment}")


def file_readers(book: Book) -> Iterator[Finding]:
    """What a cell reads past the recorder would not make the chapter stale when it changes."""
    own = book.project.texts("pixgrad", "readers")
    instead = (
        f"читайте через {' или '.join(own)}"
        if own
        else "читайте через open(), PIL или numpy: их видно"
    )
    refused = {
        name: f"читайте так: {serving}" if serving and not own else instead
        for names, serving in UNSEEN_READERS.items()
        for name in _names(names)
    }
    refused |= dict.fromkeys(SEEN_READERS if own else (), instead)
    for page in book.pages:
        imported: dict[str, str] = {}
        for cell in page.cells:
            yield from _reader_calls(page, cell, imported, refused, bool(own), instead)


def live_outputs(book: Book) -> Iterator[Finding]:
    """What moves on the page asks another host for its script, and in print it is a line."""
    for page in book.pages:
        if "<script" not in page.frozen and _LINE not in page.frozen:
            continue
        for cell, shown, text in zip(page.cells, page.executed, page.printed, strict=False):
            hosts = sorted(set(_OTHER_HOST.findall(shown)))
            if hosts:
                what = f"вывод берёт скрипт с {', '.join(hosts)}: без сети рисунка на сайте нет"
                yield page.finding(cell.cell.line, what, is_note=True)
            if _LINE in text:
                what = "в PDF вместо интерактивного рисунка строка о нём: картинки в выводе нет"
                yield page.finding(cell.cell.line, what, is_note=True)


RULES = (
    cell_options, cell_labels, captions, english_comments, file_readers, live_outputs,
)  # fmt: skip


def _cells(book: Book) -> Iterator[tuple[Page, PageCell]]:
    for page in book.pages:
        for cell in page.cells:
            yield page, cell


def _comments(cell: PageCell) -> Iterator[tuple[int, str]]:
    """(line, comment) of a Python cell."""
    try:
        tokens = list(tokenize.generate_tokens(io.StringIO(_python(cell)).readline))
    except (tokenize.TokenError, SyntaxError):
        return
    for token in tokens:
        if token.type == tokenize.COMMENT and not re.match(r"#\s*(noqa|type:|fmt:)", token.string):
            yield cell.cell.source_line + token.start[0] - 1, token.string


def _python(cell: PageCell) -> str:
    """The cell with IPython's line magics blanked."""
    return re.sub(r"^(\s*)(?:%{1,2}[A-Za-z]|!).*$", r"\1pass", cell.cell.source, flags=re.M)


def _reader_calls(
    page: Page,
    cell: PageCell,
    imported: dict[str, str],
    refused: Mapping[str, str],
    methods: bool,
    instead: str,
) -> Iterator[Finding]:
    for offset, line in enumerate(cell.cell.source.split("\n")):
        if re.match(r"\s*!", line):
            yield page.finding(
                cell.cell.source_line + offset, f"«{line.strip()}» запускает процесс: {instead}"
            )
    try:
        tree = ast.parse(_python(cell))
    except SyntaxError as error:
        line = cell.cell.source_line + (error.lineno or 1) - 1
        yield page.finding(line, f"ошибка Python: {error.msg}")
        return
    imported.update(_imports(tree))
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            called = _dotted(node.func, imported)
            method = isinstance(node.func, ast.Attribute) and node.func.attr in _READING_METHODS
            found = [name for name in refused if _matches(called, name)]
            if (found and not _reads_open_file(node, imported)) or (methods and method):
                line = cell.cell.source_line + node.lineno - 1
                how = refused[found[0]] if found else instead
                yield page.finding(line, f"{ast.unparse(node.func)}(…) читает мимо учёта: {how}")


def _reads_open_file(call: ast.Call, imported: Mapping[str, str]) -> bool:
    """Whether a reader is handed a file that Python has opened."""
    given = call.args[0] if call.args else None
    return isinstance(given, ast.Call) and (
        _dotted(given.func, imported) in ("open", "io.BytesIO", "io.StringIO")
        or (isinstance(given.func, ast.Attribute) and given.func.attr in ("open", "read"))
    )


def _imports(tree: ast.AST) -> Mapping[str, str]:
    """Local name -> full dotted name of what a cell imports."""
    found = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                top = alias.name.split(".")[0]
                found[alias.asname or top] = alias.name if alias.asname else top
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                found[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    return found


def _dotted(node: ast.AST, imported: Mapping[str, str]) -> str:
    """The full dotted name of what is called, "" if it is no plain name."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        return ""
    return ".".join([imported.get(node.id, node.id), *reversed(parts)])


def _matches(called: str, name: str) -> bool:
    """Whether a call is ``name``, lies in the module ``name``, or begins with ``name…_``."""
    if name.endswith("_") or name in ("os.exec", "os.spawn"):
        return called.startswith(name)
    return called == name or called.startswith(name + ".")
