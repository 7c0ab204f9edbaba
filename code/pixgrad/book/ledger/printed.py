"""Whose source text the cells may print: there comments and docstrings count, too."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from pixgrad.book.ledger.mentions import FUNCTIONS, Chain, chain_of
from pixgrad.book.ledger.units import CLASS, DEFINITION, EFFECT, Module, Statement, base_chain

if TYPE_CHECKING:
    from pixgrad.book.ledger.reach import Reach, Unit

_PRINTERS = {"getsource", "getsourcelines", "findsource", "getdoc", "getcomments", "help"}


class Printed:
    """Whose source text the reached code may print."""

    def __init__(self, found: Reach) -> None:
        self._reach = found
        self._printers: set[int] = set()
        """Functions that print the source of what they are given."""
        self._texts: dict[int, set[str | None]] = {}
        self._all = False

    def units(self) -> tuple[dict[int, set[str | None]], bool]:
        """(statement -> its methods of which the text counts, None for all of it; all count?)."""
        size = -1
        while size != len(self._printers) and not self._all:
            size = len(self._printers)
            for module, statement in self._reach.all_reached():
                mentions = statement.mentions
                direct = mentions.attributes.union(*mentions.chains) & {*_PRINTERS, "__doc__"}
                if direct or any(self._prints(module, chain) for chain in mentions.chains):
                    self._read(module, statement)
        return self._texts, self._all

    def _prints(self, module: Module, chain: Chain) -> bool:
        if not self._printers:
            return False
        units, _, rest = self._reach.resolve(module, chain)
        return not rest and any(id(one) in self._printers for _, one in units)

    def _read(self, module: Module, statement: Statement) -> None:
        calls = set()
        for node in ast.walk(statement.node):
            if isinstance(node, ast.Call) and self._is_printer(module, node.func):
                calls.add(node.func)
                for argument in [*node.args, *(word.value for word in node.keywords)]:
                    self._given(module, statement, argument)
            elif isinstance(node, (ast.Name, ast.Attribute)) and node not in calls:
                chain = chain_of(node) or (getattr(node, "attr", ""),)
                if chain[-1] == "__doc__":
                    self._given(module, statement, getattr(node, "value", None))
                elif self._is_printer(module, node):
                    self._all = True

    def _is_printer(self, module: Module, node: ast.AST) -> bool:
        chain = chain_of(node)
        last = chain[-1] if chain else getattr(node, "attr", "")
        return last in _PRINTERS or (chain is not None and self._prints(module, chain))

    def _given(self, module: Module, statement: Statement, node: ast.AST | None) -> None:
        chain = chain_of(node) if node is not None else None
        units, _, rest = self._reach.resolve(module, chain) if chain else ([], [], ())
        units = [unit for unit in units if unit[1].kind in (DEFINITION, CLASS, EFFECT)]
        units = [unit for unit in units if isinstance(unit[1].node, (*FUNCTIONS, ast.ClassDef))]
        if units and len(rest) <= 1:
            self._print(units[-1], rest[0] if rest else None)
        elif statement.kind == DEFINITION:
            self._printers.add(id(statement))
        else:
            self._all = True

    def _print(self, unit: Unit, method: str | None) -> None:
        """The text of a method may stand in a class that this one is made from."""
        module, statement = unit
        texts = self._texts.setdefault(id(statement), set())
        if method is None or module.source(statement, method) is not None:
            texts.add(method)
            return
        for base in getattr(statement.node, "bases", []):
            chain = base_chain(base)
            for owner in self._reach.resolve(module, chain)[0] if chain else []:
                if isinstance(owner[1].node, ast.ClassDef) and owner[1] is not statement:
                    self._print(owner, method)
