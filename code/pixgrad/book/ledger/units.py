"""A module cut into units, each with a digest that is the same in every Python from 3.9 on.

A unit is what a top-level name is bound to: a function, a class, a constant, an import. All other
statements, and those whose evaluation calls something, have effects: they run on every import.
"""

from __future__ import annotations

import ast
import builtins
import hashlib
import json
import sys
from collections.abc import Iterable, Iterator

from pixgrad.book.ledger.mentions import (
    FUNCTIONS,
    Chain,
    Mentions,
    chain_of,
    without_docstring,
    words,
)

DEFINITION, CLASS, CONSTANT, IMPORT, EFFECT = "definition", "class", "constant", "import", "effect"


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.split())


_PURE_CALLS = _names(
    "abc collections contextlib dataclasses enum functools itertools logging.getLogger math "
    "numba.jit numba.njit numpy.array numpy.float32 numpy.float64 operator pathlib re.compile "
    "torch.inference_mode torch.no_grad types typing builtins.classmethod builtins.property "
    "builtins.staticmethod builtins.frozenset builtins.set builtins.dict builtins.list "
    "builtins.tuple builtins.range builtins.float builtins.int builtins.str builtins.bool "
    "builtins.len builtins.zip builtins.enumerate builtins.round builtins.abs builtins.slice "
    "builtins.object numpy.arange numpy.empty numpy.eye numpy.finfo numpy.geomspace numpy.int32 "
    "numpy.linspace numpy.ones numpy.zeros"
)
"""What may be called while a module is imported without an effect on anything else."""
_PURE_METHODS = _names("endswith format get items join keys split startswith strip values")
"""Of strings and dictionaries."""
_PURE_BASES = _PURE_CALLS + _names(
    "argparse ast builtins html json logging matplotlib numpy pydantic string threading torch "
    "torchvision"
)
"""Whose classes keep no register of those made from them."""
_UNSEEN_FIELDS = ("ctx", "kind", "type_comment", "type_ignores")


class Statement:
    """A top-level statement of a module; one import for each name."""

    def __init__(self, node: ast.stmt, kind: str, names: Iterable[str], index: int) -> None:
        self.node, self.kind, self.names, self.index = node, kind, tuple(names), index
        self._digest, self._mentions, self._header = "", None, None

    @property
    def digest(self) -> str:
        self._digest = self._digest or short_digest(dump(self.node))
        return self._digest

    @property
    def mentions(self) -> Mentions:
        self._mentions = self._mentions or Mentions([self.node])
        return self._mentions

    @property
    def header(self) -> Mentions:
        """What is looked up while the statement runs, the bodies of functions left out."""
        self._header = self._header or Mentions([self.node], bodies=False)
        return self._header


class Module:
    """The source of a module, cut into statements.

    Raises
    ------
    SyntaxError : this Python cannot read it.
    """

    def __init__(self, name: str, text: str, is_package: bool = False) -> None:
        self.name, self.text = name, text
        self._package = name if is_package else name.rpartition(".")[0]
        body = ast.parse(text).body
        self.targets: dict[str, list[tuple[str, str | None]]] = {}
        """Name -> (module, name in it) of the imports at the top that bind it."""
        self.stars: list[str] = []
        self.imported: list[tuple[str, str | None]] = []
        """(module, name in it) of every import that runs when this module is imported."""
        for node in _run_on_import(body):
            for bound, module, inner in self.imports(node):
                self.imported.append((module, inner))
                if bound == "*":
                    self.stars.append(module)
                else:
                    top = module if inner or bound != module.partition(".")[0] else bound
                    self.targets.setdefault(bound, []).append((top, inner))
        self.bindings: dict[str, list[Statement]] = {}
        self._bound = set(self._names(body))
        self.statements = [
            one for index, node in enumerate(body) for one in self._statements(node, index)
        ]
        for statement in self.statements:
            for bound in statement.names:
                self.bindings.setdefault(bound, []).append(statement)

    def imports(self, node: ast.AST) -> Iterator[tuple[str, str, str | None]]:
        """(name bound, module, name in it) of an import; ``import a.b`` binds the module a."""
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.asname or alias.name.partition(".")[0], alias.name, None
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parts = self._package.split(".")
                kept = parts[: len(parts) - node.level + 1]
                base = ".".join([*kept, *([node.module] if node.module else [])])
            for alias in node.names:
                yield alias.asname or alias.name, base, alias.name

    def source(self, statement: Statement, method: str | None = None) -> str | None:
        """The text of a statement, or of a method in it; None if it has no such method."""
        lines, node = self.text.splitlines(), statement.node
        siblings, end = [one.node for one in self.statements], len(lines)
        if method is not None:
            siblings, end = list(getattr(node, "body", [])), node.end_lineno
            found = [one for one in siblings if getattr(one, "name", None) == method]
            if not found:
                return None
            node = found[-1]
        start = _first_line(node)
        later = [line for line in map(_first_line, siblings) if line > start]
        return "\n".join(lines[start - 1 : min([*later, end + 1]) - 1]).rstrip()

    def _statements(self, node: ast.stmt, index: int) -> Iterator[Statement]:
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            return
        if isinstance(node, ast.Pass) or _is_not_run(node):
            unrun = ast.copy_location(ast.Pass(), node)
            yield Statement(unrun, CONSTANT, self._names([node]), index)
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            for alias in node.names:
                one = ast.copy_location(type(node)(**{**_fields(node), "names": [alias]}), node)
                bound = next(self.imports(one))[0]
                yield Statement(one, IMPORT, [] if bound == "*" else [bound], index)
        elif isinstance(node, FUNCTIONS):
            kind = DEFINITION if self._is_pure_function(node) else EFFECT
            yield Statement(node, kind, [node.name], index)
        elif isinstance(node, ast.ClassDef):
            yield Statement(
                node, CLASS if self._is_pure_class(node) else EFFECT, [node.name], index
            )
        else:
            kind = CONSTANT if self._is_plain_assignment(node) else EFFECT
            yield Statement(node, kind, self._names([node]), index)

    def _names(self, body: Iterable[ast.AST]) -> list[str]:
        """The names that statements bind in their own scope."""
        found: list[str] = []
        for node in body:
            if isinstance(node, (*FUNCTIONS, ast.ClassDef)):
                found.append(node.name)
            elif isinstance(node, (ast.Import, ast.ImportFrom)):
                found += [bound for bound, *_ in self.imports(node) if bound != "*"]
            elif isinstance(node, ast.Name):
                found += [node.id] if isinstance(node.ctx, ast.Store) else []
            elif not isinstance(node, ast.Lambda):
                own = getattr(node, "name", None)  # except … as name, case … as name
                found += [own] if isinstance(own, str) else []
                found += self._names(ast.iter_child_nodes(node))
        return list(dict.fromkeys(found))

    # What has no effect when it runs

    def _dotted(self, node: ast.AST) -> str:
        """The full name of something that is not of this module, else ""."""
        chain = chain_of(node)
        if chain is None:
            return ""
        targets = self.targets.get(chain[0], [])
        if len(targets) == 1:
            module, inner = targets[0]
            return ".".join([module, *([inner] if inner else []), *chain[1:]])
        is_builtin = chain[0] not in self._bound and hasattr(builtins, chain[0])
        return ".".join(["builtins", *chain]) if is_builtin else ""

    def _is_known(self, node: ast.AST, known: tuple[str, ...]) -> bool:
        dotted = self._dotted(node)
        return any(dotted == name or dotted.startswith(name + ".") for name in known)

    def is_quiet_base(self, base: ast.AST) -> bool:
        """Whether a class of another's keeps no register of those made from it."""
        return self._is_known(_named(base), _PURE_BASES)

    def _is_pure(self, value: ast.AST | None) -> bool:
        if value is None:
            return True
        if isinstance(value, ast.Lambda):
            return all(map(self._is_pure, [*value.args.defaults, *value.args.kw_defaults]))
        if isinstance(value, ast.Call) and not self._is_pure_call(value.func):
            return False
        if isinstance(value, (ast.Await, ast.Yield, ast.YieldFrom, ast.NamedExpr)):
            return False
        return all(map(self._is_pure, ast.iter_child_nodes(value)))

    def _is_pure_call(self, called: ast.AST) -> bool:
        if self._is_known(called, _PURE_CALLS):
            return True
        is_method = isinstance(called, ast.Attribute) and called.attr in _PURE_METHODS
        return is_method and (chain_of(called) or ("",))[0] not in self.targets

    def _is_plain_assignment(self, node: ast.stmt) -> bool:
        if isinstance(node, ast.Assign):
            targets = node.targets
        elif isinstance(node, ast.AnnAssign):
            targets = [node.target]
        else:
            return False
        parts = (part for target in targets for part in ast.walk(target))
        plain = (ast.Name, ast.Tuple, ast.List, ast.Store)
        return all(isinstance(part, plain) for part in parts) and self._is_pure(node.value)

    def _is_pure_function(self, node: ast.AST) -> bool:
        defaults = [*node.args.defaults, *node.args.kw_defaults]
        return all(map(self._is_pure, defaults)) and all(
            map(self._is_pure_decorator, node.decorator_list)
        )

    def _is_pure_decorator(self, node: ast.AST) -> bool:
        if isinstance(node, ast.Attribute) and node.attr in ("setter", "getter", "deleter"):
            return isinstance(node.value, ast.Name)
        return self._is_pure(node) and self._is_known(getattr(node, "func", node), _PURE_CALLS)

    def _is_pure_class(self, node: ast.ClassDef) -> bool:
        """Its bases of the project are looked at by who knows the other modules."""
        if any(not self._is_known(word.value, ("abc.ABCMeta",)) for word in node.keywords):
            return False
        if any(base_chain(base) is None for base in node.bases):
            return False
        return all(map(self._is_pure_decorator, node.decorator_list)) and all(
            (isinstance(one, FUNCTIONS) and self._is_pure_function(one))
            or (isinstance(one, ast.ClassDef) and self._is_pure_class(one))
            or isinstance(one, ast.Pass)
            or (isinstance(one, ast.Expr) and isinstance(one.value, ast.Constant))
            or self._is_plain_assignment(one)
            for one in node.body
        )


def module_of_cells(cells: Iterable[str], name: str) -> tuple[Module, set[str]]:
    """The cells as a module, and the words of those that are not Python."""
    read, unread = [], set()
    for source in cells:
        lines = source.split("\n")
        for number, line in enumerate(lines):
            if line.startswith(("%", "!")):
                unread |= words(line)
                lines[number] = "pass"
        text = "\n".join(lines)
        try:
            ast.parse(text)
            read.append(text)
        except SyntaxError:
            unread |= words(source)
    return Module(name, "\n".join(read)), unread


def short_digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:12]


def is_standard(name: str) -> bool:
    """Whether a top-level module comes with Python."""
    known = getattr(sys, "stdlib_module_names", None)
    return name in known if known else name in sys.builtin_module_names


def dump(node: ast.AST) -> str:
    """A syntax tree as text: no positions, no docstrings, nothing that only newer Pythons have."""
    out: list[str] = []
    _dump(node, out)
    return "".join(out)


def _dump(node: object, out: list[str]) -> None:
    if isinstance(node, ast.Constant):
        value = node.value
        shown = json.dumps(value) if isinstance(value, str) else repr(value)
        out.append(f"{type(value).__name__} {shown};")
    elif isinstance(node, (ast.JoinedStr, getattr(ast, "TemplateStr", ast.JoinedStr))):
        out.append(type(node).__name__ + "[")
        text = ""
        for part in node.values:  # Pythons differ in how they cut the constant parts
            if isinstance(part, ast.Constant):
                text += str(part.value)
            else:
                out.append(json.dumps(text))
                text = ""
                _dump(part, out)
        out.append(json.dumps(text) + "]")
    elif isinstance(node, ast.AST):
        out.append(type(node).__name__ + "(")
        for field, value in _fields(node).items():
            if field in _UNSEEN_FIELDS or value is None or value == []:
                continue
            if field == "body" and isinstance(node, (*FUNCTIONS, ast.ClassDef)):
                value = without_docstring(value)
            out.append(field + "=")
            _dump(value, out)
        out.append(")")
    elif isinstance(node, list):
        out.append("[")
        for one in node:
            _dump(one, out)
            out.append(",")
        out.append("]")
    else:
        out.append(repr(node) + ";")


def base_chain(base: ast.AST) -> Chain | None:
    """The name of a class that another is made from: ``Sequence[int]`` is Sequence."""
    return chain_of(_named(base))


def _named(base: ast.AST) -> ast.AST:
    return base.value if isinstance(base, ast.Subscript) else base


def _fields(node: ast.AST) -> dict[str, object]:
    return {field: getattr(node, field, None) for field in node._fields}


def _first_line(node: ast.stmt) -> int:
    return min([node.lineno, *(one.lineno for one in getattr(node, "decorator_list", []))])


def _is_not_run(node: ast.AST) -> bool:
    """``if TYPE_CHECKING:`` and ``if __name__ == "__main__":`` without an else."""
    if not isinstance(node, ast.If) or node.orelse:
        return False
    chain = chain_of(node.test)
    if chain is not None:
        return chain[-1] == "TYPE_CHECKING"
    return isinstance(node.test, ast.Compare) and chain_of(node.test.left) == ("__name__",)


def _run_on_import(body: Iterable[ast.AST]) -> Iterator[ast.AST]:
    """The statements, however deep, that run when the body runs."""
    for node in body:
        if isinstance(node, FUNCTIONS) or _is_not_run(node):
            continue
        yield node
        for field in ("body", "orelse", "finalbody", "handlers", "cases"):
            inner = getattr(node, field, [])
            yield from _run_on_import(inner if isinstance(inner, list) else [])
