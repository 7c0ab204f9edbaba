"""The examples of the docstrings run, and everything public has one."""

from __future__ import annotations

import doctest
import importlib
import inspect
import pkgutil

import pytest

pytest.importorskip("torch", reason="needs pixgrad[compute]")

ROOMS = ("sift", "views", "backprop", "nets", "data", "detection", "compression", "results")
SLOW_TO_IMPORT = {f"pixgrad.compression.{name}" for name in ("quantise", "runtime", "variants")}
"""They need ONNX, and so does ``compression.workers``."""
LISTED = ("sift", "backprop", "nets", "data", "results")
"""Rooms that say in ``__all__`` what is public; in others all functions and classes are."""
OWN_PROCESS = {"detect_without_fma", "detect_with_fma"}
"""They start a process each, which takes seconds; ``test_opencv.py`` calls them."""


def modules(room: str) -> list[str]:
    package = importlib.import_module(f"pixgrad.{room}")
    inside = pkgutil.iter_modules(package.__path__, f"{package.__name__}.")
    return [package.__name__, *(one.name for one in inside if not one.ispkg)]


MODULES = ["pixgrad.errors"] + [
    name
    for room in ROOMS
    for name in modules(room)
    if name not in SLOW_TO_IMPORT | {"pixgrad.compression.workers"}
]


def public(module) -> dict[str, object]:
    """Functions and classes that are meant for use outside their module."""
    names = getattr(module, "__all__", None)
    found = {name: getattr(module, name) for name in names or vars(module)}
    return {
        name: one
        for name, one in found.items()
        if (inspect.isfunction(one) or inspect.isclass(one))
        and not name.startswith("_")
        and (names or one.__module__ == module.__name__)
    }


@pytest.mark.parametrize("name", MODULES)
def test_examples_say_what_comes_out(name, tmp_path, monkeypatch):
    monkeypatch.setenv("PIXGRAD_NUMBA", "0")  # no time for the compiler
    monkeypatch.setenv("PIXGRAD_DATA", str(tmp_path))
    monkeypatch.delenv("PIXGRAD_LANG", raising=False)
    monkeypatch.chdir(tmp_path)
    failed, _ = doctest.testmod(importlib.import_module(name))
    assert failed == 0


@pytest.mark.parametrize("room", ROOMS)
def test_everything_public_has_an_example(room):
    names = [f"pixgrad.{room}"] if room in LISTED else modules(room)
    found = {
        f"{name}.{key}": inspect.getdoc(one) or ""
        for name in names
        if name in MODULES
        for key, one in public(importlib.import_module(name)).items()
        if key not in OWN_PROCESS
    }
    assert len(found) > 1
    assert not [name for name, doc in found.items() if ">>> " not in doc]
