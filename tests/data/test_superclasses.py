"""Superclasses of CIFAR-100: the table, its faults, numbers of classes."""

import json

import pytest

from pixgrad import data
from pixgrad.data import superclasses as ours
from pixgrad.errors import PixgradError, SourceError

FAMILIES = {"trees": ["oak", "pine"], "fish": ["ray", "trout"]}


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.setenv("PIXGRAD_DATA", str(tmp_path))
    return tmp_path


def write(root, families) -> None:
    (root / ours.FILE).write_text(json.dumps({"superclasses": families}))


def test_numbers_follow_the_names_of_the_superclasses(root):
    write(root, FAMILIES)
    assert ours.table() == {"trees": ("oak", "pine"), "fish": ("ray", "trout")}
    assert ours.superclasses(["trout", "oak", "ray", "pine"]) == (0, 1, 0, 1)
    with pytest.raises(PixgradError, match="«wolf»"):
        ours.superclasses(["oak", "wolf"])


def test_a_missing_or_broken_file_is_told(root):
    with pytest.raises(PixgradError, match=f"{ours.FILE}.*Что сделать"):
        ours.table()
    write(root, FAMILIES | {"more": ["ray"]})
    with pytest.raises(SourceError, match="дважды"):
        ours.table()
    for broken in ("[1]", "{", '{"superclasses": 3}'):
        (root / ours.FILE).write_text(broken)
        with pytest.raises(SourceError, match="надклассов"):
            ours.table()


def test_all_hundred_classes_in_twenties_of_five():
    try:
        names = data.load("cifar100", split="test").names
        found = ours.superclasses(names)
    except PixgradError as error:
        pytest.skip(str(error))
    assert len(names) == len(found) == 100
    assert [found.count(number) for number in range(20)] == [5] * 20
    fish = {name for name, number in zip(names, found, strict=True) if number == found[1]}
    assert fish == {"aquarium_fish", "flatfish", "ray", "shark", "trout"}
