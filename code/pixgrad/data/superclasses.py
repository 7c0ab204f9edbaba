"""CIFAR-100's 20 superclasses of five classes each."""

import json
from collections.abc import Sequence

from pixgrad.data import files
from pixgrad.errors import PixgradError, SourceError, say

FILE = "cifar100_superclasses.json"


def table() -> dict[str, tuple[str, ...]]:
    """The classes of each superclass (Krizhevsky, "Learning multiple layers of features from tiny
    images", 2009), from the data root.

    Raises
    ------
    PixgradError : no such file; SourceError : a class comes twice, or it is no table.
    """
    path = files.root() / FILE
    if not path.is_file():
        what = say("надклассы CIFAR-100", "superclasses of CIFAR-100")
        step = say(
            'положите файл {"superclasses": {"fish": ["ray", …], …}} в папку данных '
            "(её задаёт PIXGRAD_DATA); список есть на странице CIFAR-100",
            'put a file {"superclasses": {"fish": ["ray", …], …}} into the data root '
            "(which PIXGRAD_DATA sets); the page of CIFAR-100 has the list",
        )
        raise files.missing(FILE, what, [path], step)
    try:
        found = json.loads(files.read_bytes(path))["superclasses"]
        families = {name: tuple(classes) for name, classes in found.items()}
    except (ValueError, TypeError, KeyError, AttributeError):
        raise SourceError(
            "нет таблицы надклассов под ключом «superclasses»",
            path,
            english="no table of superclasses under the key 'superclasses'",
        ) from None
    classes = [name for family in families.values() for name in family]
    if len(set(classes)) < len(classes):
        raise SourceError("класс встречается дважды", path, english="a class comes twice")
    return families


def superclasses(names: Sequence[str]) -> tuple[int, ...]:
    """Of each class, the number of its superclass, in the alphabetical order of their names.

    Raises
    ------
    PixgradError : a class that is in none.
    """
    number = {
        name: place for place, (_, family) in enumerate(sorted(table().items())) for name in family
    }
    unknown = [name for name in names if name not in number]
    if unknown:
        raise PixgradError(
            f"класса «{unknown[0]}» нет ни в одном надклассе CIFAR-100",
            f"the class '{unknown[0]}' is in no superclass of CIFAR-100",
        )
    return tuple(number[name] for name in names)
