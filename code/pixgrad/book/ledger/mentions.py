"""What a piece of code mentions: names, attributes, words of its strings, names it makes up."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator

Chain = tuple[str, ...]
"""A name with the attributes after it: ``np.linalg.norm`` is ("np", "linalg", "norm")."""

OWN_MODULE: Chain = ()
_LISTERS = ("vars", "dir", "getmembers", "getattr", "setattr", "delattr", "hasattr")
"""Functions that may find in what they get a name that the code does not spell out."""
_WORD = re.compile(r"[^\W\d]\w*")
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


class Mentions:
    """All that a piece of code mentions.

    Parameters
    ----------
    bodies : read the bodies of functions, too; else only what is looked up while they are defined.
    """

    def __init__(self, nodes: Iterable[ast.AST], bodies: bool = True) -> None:
        self._bodies = bodies
        self.chains: set[Chain] = set()
        self.attributes: set[str] = set()
        """Attributes of what is no plain name."""
        self.words: set[str] = set()
        """Identifiers in string constants, docstrings apart."""
        self.imports: list[ast.stmt] = []
        """Import statements."""
        self.annotations: set[Chain] = set()
        """What stands in annotations of functions and variables."""
        self.importing: set[str] = set()
        """How the names of modules begin that are imported by name; "" is that of this module."""
        self.listed: set[Chain | None] = set()
        """Things that are asked for names not spelt out; None if they have no name themselves."""
        self._visit_all(nodes)

    def _visit_all(self, nodes: Iterable[ast.AST | None]) -> None:
        for node in nodes:
            if node is not None:
                self._visit(node)

    def _visit(self, node: ast.AST) -> None:
        if isinstance(node, (ast.Name, ast.Attribute)):
            chain = chain_of(node)
            if chain is not None:
                self.chains.add(chain)
                if "__dict__" in chain:
                    self.listed.add(chain[: chain.index("__dict__")])
                return
            self.attributes.add(node.attr)
            self._visit(node.value)
        elif isinstance(node, ast.Constant):
            if isinstance(node.value, str) and self._bodies:
                self.words.update(words(node.value))
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            self.imports.append(node)
        elif isinstance(node, FUNCTIONS):
            self._function(node)
        elif isinstance(node, ast.Lambda):
            self._visit_all([*node.args.defaults, *node.args.kw_defaults])
            if self._bodies:
                self._visit(node.body)
        elif isinstance(node, ast.ClassDef):
            self._visit_all([*node.decorator_list, *node.bases, *node.keywords])
            if not self._bodies:
                inside = Mentions(without_docstring(node.body), bodies=False)
                own = set(_assigned(node.body))
                self.chains |= {chain for chain in inside.chains if chain[0] not in own}
                self.annotations |= inside.annotations
                return
            for inner in without_docstring(node.body):
                self._visit(inner)
                if isinstance(inner, ast.AnnAssign):
                    self._visit(inner.annotation)  # of a field: it may be built from it
        elif isinstance(node, ast.AnnAssign):
            self._annotation(node.annotation)
            self._visit_all([node.target, node.value])
        elif isinstance(node, ast.Call) and self._imports_below(node):
            self._visit_all(node.args)
        else:
            if isinstance(node, ast.Call):
                self._call(node)
            self._visit_all(ast.iter_child_nodes(node))

    def _function(self, node: ast.AST) -> None:
        arguments = node.args
        self._visit_all([*node.decorator_list, *arguments.defaults, *arguments.kw_defaults])
        given = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
        given += [one for one in (arguments.vararg, arguments.kwarg) if one is not None]
        for annotation in [*(one.annotation for one in given), node.returns]:
            if annotation is not None and node.decorator_list and self._bodies:
                self._visit(annotation)  # the decorator may look at it
            elif annotation is not None:
                self._annotation(annotation)
        if self._bodies:
            self._body(node)

    def _body(self, node: ast.AST) -> None:
        """The body of a function: its own variables are nobody else's names."""
        inside = Mentions(without_docstring(node.body))
        arguments = node.args
        own = {one.arg for one in ast.walk(arguments) if isinstance(one, ast.arg)}
        own |= set(_assigned(node.body)) - set(_global(node.body))
        for chain in inside.chains:
            if chain[0] in own:
                self.attributes.update(chain[1:])
            else:
                self.chains.add(chain)
        for kind in ("attributes", "words", "annotations", "importing", "listed"):
            getattr(self, kind).update(getattr(inside, kind))
        self.imports += inside.imports

    def _annotation(self, node: ast.AST) -> None:
        found = Mentions([node], bodies=False)
        self.annotations |= found.chains

    def _imports_below(self, node: ast.Call) -> bool:
        """``import_module("a.b")``, ``import_module(f"{__name__}.{name}")``: of which it is one."""
        if (chain_of(node.func) or ("",))[-1] != "import_module" or len(node.args) != 1:
            return False
        first = node.args[0]
        if isinstance(first, ast.JoinedStr) and first.values:
            first = first.values[0]
            first = first.value if isinstance(first, ast.FormattedValue) else first
        if isinstance(first, ast.Constant) and isinstance(first.value, str):
            self.importing.add(first.value)
        elif isinstance(first, ast.Name) and first.id == "__name__":
            self.importing.add("")
        else:
            return False
        return True

    def _call(self, node: ast.Call) -> None:
        chain = chain_of(node.func) or ("",)
        called, is_bare = chain[-1], len(chain) == 1
        if called in ("globals", "locals") or (called in ("vars", "dir") and not node.args):
            self.listed.add(OWN_MODULE)
        elif is_bare and called in ("eval", "exec"):
            self.listed |= {OWN_MODULE, None}
        elif called in _LISTERS and node.args and (is_bare or called == "getmembers"):
            owner = chain_of(node.args[0])
            name = node.args[1] if len(node.args) > 1 else None
            if isinstance(name, ast.Constant) and isinstance(name.value, str):
                if owner is not None:
                    self.chains.add((*owner, *name.value.split(".")))
            elif owner is None or owner[0] not in ("self", "cls"):
                self.listed.add(owner)


def _assigned(body: Iterable[ast.AST]) -> Iterator[str]:
    """Variables of a function; those of comprehensions and inner functions are not its own."""
    inner = (*FUNCTIONS, ast.ClassDef, ast.Lambda, ast.ListComp, ast.SetComp, ast.DictComp)
    for node in body:
        if isinstance(node, FUNCTIONS):
            yield node.name
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif not isinstance(node, (*inner, ast.GeneratorExp)):
            yield from _assigned(ast.iter_child_nodes(node))


def _global(body: Iterable[ast.AST]) -> Iterator[str]:
    for statement in body:
        for node in ast.walk(statement):
            if isinstance(node, (ast.Global, ast.Nonlocal)):
                yield from node.names


def words(text: str) -> set:
    """The identifiers in a text."""
    return set(_WORD.findall(text))


def chain_of(node: ast.AST) -> Chain | None:
    """``a.b.c`` as ("a", "b", "c"); None if it does not begin with a name."""
    parts = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return (node.id, *reversed(parts)) if isinstance(node, ast.Name) else None


def without_docstring(body: list) -> list:
    """The statements of a module, class or function after its docstring."""
    first = body[0] if body else None
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
        return body[1:] if isinstance(first.value.value, str) else body
    return body
