"""What the cells of a chapter can run: the units of the project that they reach, by name.

The statements with effects of every imported module are run; from them and from the cells names
lead on: a name of the module, an attribute of a module, a word of a string. A class is reached
with all its methods. An attribute of something that is not known to be a module may be one of any
module that is used as a value; a name that is made up (``getattr(module, "draw_" + kind)``,
``vars(module)``) may be any name there. What is not reached cannot run: it only has to exist.
"""

from __future__ import annotations

import ast
import builtins
from collections.abc import Callable, Iterable, Iterator

from pixgrad.book.ledger.mentions import Chain
from pixgrad.book.ledger.printed import Printed
from pixgrad.book.ledger.units import (
    EFFECT,
    IMPORT,
    Module,
    Statement,
    base_chain,
    is_standard,
    module_of_cells,
    short_digest,
)

Load = Callable[[str], "Module | None"]
"""The module of the project with a dotted name, None if the project has none."""

MAIN = "__main__"
MODULE = ""
"""Stands for the statements of a module that bind no name."""
MISSING = "-"
"""Digest of what a statement looks up and nobody binds."""

_IMPORTERS = {"import_module", "__import__", "run_module", "resolve_name", "walk_packages"}
_ANNOTATIONS = {"get_type_hints", "__annotations__", "get_annotations"}
_FRAMES = {"f_globals", "__globals__"}
_REGISTERING = {"__init_subclass__", "__set_name__", "__prepare__", "__mro_entries__"}
_GIVEN = {*dir(builtins), "__file__", "__path__"}
_ALWAYS = {"__getattr__", "__dir__"}

Unit = tuple[Module, Statement]


def reach(
    cells: Iterable[str], load: Load, lazy: Iterable[str] = (), named: Iterable[str] = ()
) -> dict[str, dict[str, str]]:
    """The units that cells reach with their digests: module -> name -> digest.

    Parameters
    ----------
    lazy : modules that were imported though no import statement at the top leads to them.
    named : names that do not stand in code: in a settings file, in a pickle.

    Raises
    ------
    SyntaxError : this Python cannot read a module.
    """
    return Reach(cells, load, lazy, named).digests()


def static_modules(cells: Iterable[str], load: Load) -> set[str]:
    """The modules of the project that the import statements at the top lead to from the cells."""
    return set(Reach(cells, load, (), (), run=False).world)


class Reach:
    """The analysis; ``reached`` holds the statements of each module that count whole."""

    def __init__(
        self,
        cells: Iterable[str],
        load: Load,
        lazy: Iterable[str] = (),
        named: Iterable[str] = (),
        run: bool = True,
    ) -> None:
        self.main, unread = module_of_cells(cells, MAIN)
        self.world: dict[str, Module] = {}
        self.order: list[str] = []
        """The modules in the order in which their imports end."""
        self.reached: dict[str, dict[int, Statement]] = {MAIN: {}}
        self._load, self._found = load, {}
        self._queue: list[Unit] = []
        self._attributes: set[str] = set(unread)
        self._words: set[str] = {*unread, *named}
        self._escaped: set[str] = set(self.world) if unread else set()
        self._listed: set[str] = set()
        self._lists_anything = self._follows_annotations = False
        for node in ast.walk(ast.parse(self.main.text)):
            self._import_all((module, inner) for _, module, inner in self.main.imports(node))
        self._import_all((name, None) for name in sorted(lazy))
        if run:
            self._run()

    # Which modules are imported

    def _import_all(self, named: Iterable[tuple[str, str | None]]) -> None:
        for module, inner in named:
            parts = module.split(".")
            for stop in range(1, len(parts) + 1):
                self._import(".".join(parts[:stop]))
            if inner:
                self._import(f"{module}.{inner}")

    def _import(self, name: str) -> None:
        if name in self.world:
            return
        module = self._load(name)
        if module is None:
            return
        self.world[name] = module
        self.reached[name] = {}
        self._import_all(module.imported)
        self.order.append(name)

    # Which units are reached

    def _run(self) -> None:
        for statement in self.main.statements:
            self._add(self.main, statement)
        for module in self.world.values():
            for statement in module.statements:
                named = set(statement.names)
                if (statement.kind == EFFECT and named != {"__all__"}) or named & _ALWAYS:
                    self._add(module, statement)
            for star in self._modules(module.stars):
                self._add_name(star, "__all__")
        for module, statement in list(self._classes()):
            if self._is_registered(module, statement):
                self._add(module, statement)
        self._follow()

    def _follow(self) -> None:
        size = -1
        while self._queue or size != self._size():
            size = self._size()
            while self._queue:
                self._mentioned_in(*self._queue.pop())
            everywhere = self._listed | (self._escaped if self._lists_anything else set())
            for module in self._modules(everywhere):
                for name in list(module.bindings):
                    self._add_name(module, name)
            loose = self._attributes | self._words
            for module in self._modules(self._escaped):
                for name in loose & set(module.bindings):
                    self._add_name(module, name)
            for module in self.world.values():
                for name in self._words & set(module.bindings):
                    self._add_name(module, name)

    def _size(self) -> tuple:
        return (sum(map(len, self.reached.values())), len(self._attributes), len(self._words),
                len(self._escaped), len(self._listed), self._lists_anything)  # fmt: skip

    def _mentioned_in(self, module: Module, statement: Statement) -> None:
        mentions = statement.mentions
        local: dict[str, list] = {}
        for node in mentions.imports:
            for bound, name, inner in module.imports(node):
                top = name if inner or bound != name.partition(".")[0] else bound
                local.setdefault(bound, []).append((top, inner))
        chains = mentions.chains
        if self._follows_annotations:
            chains = chains | mentions.annotations
        for chain in chains:
            units, modules, rest = self.resolve(module, chain, local)
            for unit in units:
                self._add(*unit)
            if modules and not rest:
                self._escaped.update(one.name for one in modules)
            self._attributes.update(rest)
        self._attributes |= mentions.attributes
        self._words |= mentions.words
        for owner in mentions.listed:
            modules = [module, *self._modules(module.stars)] if owner == () else []
            if owner:
                modules = self.resolve(module, owner, local)[1]
            self._listed.update(one.name for one in modules)
            self._lists_anything = self._lists_anything or not modules
        for start in mentions.importing:
            begin = start or module.name
            self._escaped.update(name for name in self.world if name.startswith(begin))
        names = mentions.attributes.union(*chains)
        if names & _IMPORTERS or ("sys", "modules") in {chain[:2] for chain in chains}:
            self._escaped.update(self.world)
        if names & _FRAMES:
            self._listed.update(self.world)
        if "__subclasses__" in names:
            for unit in self._classes():
                self._add(*unit)
        if names & _ANNOTATIONS and not self._follows_annotations:
            self._follows_annotations = True
            self._queue += self.all_reached()

    def resolve(
        self, module: Module, chain: Chain, local: dict | None = None
    ) -> tuple[list[Unit], list[Module], Chain]:
        """(units on the way, modules at its end, what is left of the chain after the last one)."""
        if local and chain[0] in local:
            units, modules = self._targets(local[chain[0]])
            is_external = not units and not modules
        else:
            units, modules = self._look(module, chain[0])
            is_external = (
                bool(units)
                and not modules
                and all(statement.kind == IMPORT for _, statement in units)
            )
        rest = chain[1:]
        if is_external:
            return units, [], ()
        units = list(units)
        while rest and modules:
            found = [self._look(one, rest[0]) for one in modules]
            if not any(more or inner for more, inner in found):
                lost = [] if rest[0].startswith("__") else [_missing(rest[0])]
                return units + [(one, name) for one in modules for name in lost], [], ()
            units += [unit for more, _ in found for unit in more]
            modules = [one for _, inner in found for one in inner]
            rest = rest[1:]
        return units, modules, rest

    def _look(self, module: Module, name: str) -> tuple[list[Unit], list[Module]]:
        """(the units that bind a name in a module and where they lead, modules it may be)."""
        key = (module.name, name)
        if key in self._found:
            return self._found[key]
        self._found[key] = [], []  # for imports that go in a circle
        units = [(module, statement) for statement in module.bindings.get(name, [])]
        more, modules = self._targets(module.targets.get(name, []))
        units += more
        if not module.bindings.get(name):
            for star in self._modules(module.stars):
                found, inner = self._look(star, name)
                units += found
                modules += inner
            modules += self._modules([f"{module.name}.{name}"])
        self._found[key] = units, modules
        return units, modules

    def _targets(self, targets: Iterable[tuple[str, str | None]]) -> tuple[list, list]:
        units, modules = [], []
        for name, inner in targets:
            owner = self.world.get(name)
            if inner is None or owner is None:
                modules += self._modules([name if inner is None else f"{name}.{inner}"])
                continue
            found, more = self._look(owner, inner)
            more = more or self._modules([f"{name}.{inner}"])
            if not found and not more and self._load(f"{name}.{inner}") is None:
                found = [(owner, _missing(inner))]
            units += found
            modules += more
        return units, modules

    def _add(self, module: Module, statement: Statement) -> None:
        reached = self.reached[module.name]
        key = id(statement) if statement.kind != MISSING else statement.names
        if key not in reached:
            reached[key] = statement
            if statement.kind != MISSING:
                self._queue.append((module, statement))

    def _add_name(self, module: Module, name: str) -> None:
        for unit in self._look(module, name)[0]:
            self._add(*unit)

    def _modules(self, names: Iterable[str]) -> list[Module]:
        return [self.world[name] for name in names if name in self.world]

    def all_reached(self) -> Iterator[Unit]:
        for name, statements in self.reached.items():
            module = self.main if name == MAIN else self.world[name]
            for statement in list(statements.values()):
                if statement.kind != MISSING:
                    yield module, statement

    def _classes(self) -> Iterator[Unit]:
        for module in self.world.values():
            for statement in module.statements:
                if isinstance(statement.node, ast.ClassDef):
                    yield module, statement

    def _is_registered(self, module: Module, statement: Statement, seen: tuple = ()) -> bool:
        """Whether a class that this one is made from hears of it, or may."""
        for base in statement.node.bases:
            chain = base_chain(base)
            units = self.resolve(module, chain)[0] if chain else []
            classes = [unit for unit in units if isinstance(unit[1].node, ast.ClassDef)]
            if not classes and not module.is_quiet_base(base):
                return True
            for owner, one in classes:
                if one in seen:
                    continue
                methods = {getattr(inner, "name", "") for inner in one.node.body}
                if methods & _REGISTERING or one.node.keywords:
                    return True
                if self._is_registered(owner, one, (*seen, one)):
                    return True
        return False

    # Digests

    def digests(self) -> dict[str, dict[str, str]]:
        """Module -> name -> digest of all that counts; the cells themselves are left out."""
        printed, all_printed = Printed(self).units()
        found: dict[str, dict[str, str]] = {}
        external: set[str] = set()
        for name, module in self.world.items():
            parts: dict[str, list[str]] = {}
            for statement in self._in_order(module):
                digest = statement.digest if statement.kind != MISSING else MISSING
                texts = printed.get(id(statement), set())
                if all_printed and statement.kind != MISSING:
                    texts = {None}
                for method in sorted(texts, key=str):
                    digest = short_digest(digest + (module.source(statement, method) or ""))
                for bound in statement.names:
                    parts.setdefault(bound, []).append(digest)
            for statement in module.statements:
                if id(statement) not in self.reached[name]:
                    for lost in self._lost(module, statement):
                        parts[lost] = [MISSING]
            units = {one: digests[0] if len(digests) == 1 else short_digest(" ".join(digests))
                     for one, digests in parts.items()}  # fmt: skip
            sequence = self._sequence(module)
            if sequence:
                units[MODULE] = short_digest("\n".join(sequence))
            if units:
                found[name] = units
            external |= {one.partition(".")[0] for one, _ in module.imported}
        external = {one for one in external if one not in self.world and not is_standard(one)}
        with_effects = [name for name in self.order if MODULE in found.get(name, {})]
        if with_effects or external:
            found[MODULE] = {
                "порядок импорта": short_digest(" ".join(with_effects)),
                **dict.fromkeys((f"import {one}" for one in sorted(external)), "+"),
            }
        return found

    def printed(self) -> Callable[[Statement], bool]:
        """Whether the text of a statement may be printed."""
        texts, all_printed = Printed(self).units()
        return lambda statement: all_printed or id(statement) in texts

    def _in_order(self, module: Module) -> list[Statement]:
        return sorted(self.reached[module.name].values(), key=lambda one: one.index)

    def _sequence(self, module: Module) -> list[str]:
        """What runs on import in its order: effects, and what they or reached headers look up."""
        reached = self.reached[module.name]
        run = [one for one in module.statements if id(one) in reached]
        looked_up = {chain[0] for one in run for chain in one.header.chains}
        lines = []
        for one in run:
            if one.kind == EFFECT and not one.names:
                lines.append(one.digest)
            elif one.kind == EFFECT or looked_up & set(one.names):
                lines.append(" ".join(one.names))
        return [*lines, *(f"from {star} import *" for star in module.stars)]

    def _lost(self, module: Module, statement: Statement) -> Iterator[str]:
        """What a statement that is not reached looks up in vain while it runs."""
        if statement.kind == IMPORT:
            for bound in statement.names:
                for owner, one in self._look(module, bound)[0]:
                    if one.kind == MISSING:
                        yield f"{owner.name}.{one.names[0]}"
            return
        header = statement.header
        chains = header.chains
        if ("__future__", "annotations") not in module.imported:
            chains = chains | header.annotations
        for chain in chains:
            bound = module.bindings.get(chain[0], [])
            if not any(self._look(module, chain[0])) and chain[0] not in _GIVEN:
                yield chain[0]
            if bound and min(o.index for o in bound) > statement.index:
                yield chain[0]
            for owner, one in self.resolve(module, chain)[0]:
                if one.kind == MISSING:
                    yield f"{owner.name}.{one.names[0]}"


def _missing(name: str) -> Statement:
    return Statement(ast.Pass(), MISSING, [name], -1)
