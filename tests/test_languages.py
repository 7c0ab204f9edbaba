"""What the library refuses, it refuses in Russian and in English (``PIXGRAD_LANG=en``)."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import numpy as np
import pytest

import pixgrad
from pixgrad.errors import LANGUAGE, PixgradError, SourceError, say

PACKAGE = Path(pixgrad.__file__).parent
ROOMS = (
    *("sift", "views", "backprop", "nets", "data", "detection", "compression"),
    *("training", "results"),
)
SOURCES = sorted(
    {PACKAGE / "files.py", PACKAGE / "dataroot.py"}.union(
        *((PACKAGE / room).rglob("*.py") for room in ROOMS)
    )
)
TITLES = {
    "data/photos.py": {"synthetic_view", "_foolbox", "_oxford", "_motorcycle"},
    "sift/derivatives/compare.py": None,
    "sift/derivatives/kinks.py": None,
}
"""Functions (None — all) that write captions and tables of the Russian book, and no messages."""
CYRILLIC = re.compile("[А-Яа-яЁё]")


def texts(node: ast.AST) -> list[ast.Constant]:
    return [
        one
        for one in ast.walk(node)
        if isinstance(one, ast.Constant) and isinstance(one.value, str)
    ]


def is_russian(node: ast.AST) -> bool:
    return any(CYRILLIC.search(one.value) for one in texts(node))


def placeholders(node: ast.AST) -> list[str]:
    return sorted(ast.unparse(one) for one in ast.walk(node) if isinstance(one, ast.FormattedValue))


def named(call: ast.Call) -> str:
    return getattr(call.func, "attr", getattr(call.func, "id", ""))


def in_both(call: ast.Call) -> tuple[ast.AST, ast.AST] | None:
    """The Russian and the English text of an error or of `say`; None without English."""
    english = next((one.value for one in call.keywords if one.arg == "english"), None)
    if english is None and named(call) != "SourceError" and len(call.args) > 1:
        english = call.args[1]
    return None if english is None else (call.args[0], english)


def errors_of(trees: dict[Path, ast.AST]) -> set[str]:
    """Names of `PixgradError` and of the classes made of it."""
    found, before = {"PixgradError", "SourceError"}, set()
    while found != before:
        before = set(found)
        found |= {
            node.name
            for tree in trees.values()
            for node in ast.walk(tree)
            if isinstance(node, ast.ClassDef)
            and any(getattr(base, "id", None) in found for base in node.bases)
        }
    return found


def functions(tree: ast.AST):
    return [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]


@pytest.fixture(scope="module")
def trees():
    return {path: ast.parse(path.read_text("utf-8")) for path in SOURCES}


def test_every_message_is_in_both_languages(trees):
    errors, wrong, count = errors_of(trees), [], 0
    assert {"NonFiniteError", "ShapeError", "DivergedError"} <= errors
    for path, tree in trees.items():
        for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
            if named(call) not in errors | {"say"} or isinstance(call.args[0], ast.Starred):
                continue
            pair, where = in_both(call), f"{path.relative_to(PACKAGE)}:{call.lineno}"
            count += 1
            if pair is None:
                wrong.append(f"{where}: no English")
            elif is_russian(pair[1]):
                wrong.append(f"{where}: Cyrillic in English")
            elif placeholders(pair[0]) != placeholders(pair[1]):
                wrong.append(f"{where}: other values in the two languages")
    assert not wrong, "\n".join(wrong)
    assert count > 140


def test_nothing_russian_is_said_outside_them(trees):
    """Pieces of messages too: a name, a step to take."""
    errors, wrong = errors_of(trees), []
    for path, tree in trees.items():
        name = path.relative_to(PACKAGE).as_posix()
        translated = {
            id(one)
            for call in ast.walk(tree)
            if isinstance(call, ast.Call) and named(call) in errors | {"say"} and in_both(call)
            for one in texts(in_both(call)[0])
        }
        for function in functions(tree):
            titles = TITLES.get(name, ())
            if titles is None or function.name in titles:
                continue
            doc = ast.get_docstring(function, clean=False)
            wrong += [
                f"{name}:{one.lineno}: {one.value}"
                for one in texts(function)
                if CYRILLIC.search(one.value) and id(one) not in translated and one.value != doc
            ]
    assert not wrong, "\n".join(wrong)


def test_the_library_raises_its_own_errors_alone(trees):
    """Abstract methods apart; a name that is raised holds, or a function makes, such an error."""
    allowed = errors_of(trees) | {"NotImplementedError", "missing", "other_settings", "_damaged"}
    raised = {
        f"{path.relative_to(PACKAGE)}:{node.lineno}: {ast.unparse(node.exc)}": node.exc
        for path, tree in trees.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Raise) and node.exc is not None
    }
    strange = [
        where
        for where, error in raised.items()
        if (named(error) if isinstance(error, ast.Call) else getattr(error, "id", ""))
        not in allowed
    ]
    assert not strange, "\n".join(strange)
    assert len(raised) > 100


def features(*shape: int):
    from pixgrad.sift import Features

    zeros = np.zeros(shape[0], np.float32)
    return Features(np.zeros((shape[0], 2), np.float32), zeros, zeros, zeros, zeros.astype(int),
                    -np.ones(shape, np.float32))  # fmt: skip


def refusals():
    """Each kind of message with pieces of its own, and one of each room."""
    import torch

    from pixgrad import backprop as bp
    from pixgrad import data, files, nets, results
    from pixgrad.data import photos, superclasses
    from pixgrad.nets import cifar_weights, gradcam
    from pixgrad.results import statistics
    from pixgrad.sift import Sift
    from pixgrad.training import batches, boxes, paths
    from pixgrad.views import matching

    def locked():
        with files.lock(Path.cwd()), files.lock(Path.cwd()):
            pass

    def explain():
        net = nets.build("simple-cnn", 2)
        gradcam.grad_cam(net, net, torch.zeros(1, 3, 32, 32), torch.zeros(1, dtype=torch.int64))

    def overflow(start):
        net = bp.Sequential(bp.Linear(2, 2), bp.Linear(2, 1))
        net.layers[1].weight[:] = start
        x = np.ones((1, 2), np.float32)
        bp.raise_first_nonfinite(net, bp.MSE(), x, np.full((1, 1), 1e30, np.float32))

    layer = bp.Linear(2, 2)
    yield from (
        lambda: Sift(sigma=-1),
        lambda: Sift(nfeatures=2.5),
        lambda: Sift(conventions="mine"),
        lambda: Sift(compiled="yes").detect(np.zeros((9, 9))),
        lambda: Sift().detect(np.full((9, 9), 1.5)),
        lambda: Sift().detect(np.zeros((9, 9)), np.zeros((3, 3), bool)),
        lambda: Sift(compiled=False).compute(np.zeros((9, 9)), features(1, 128)),
        lambda: features(2, 128)[0],
        lambda: matching.rootsift(features(1, 128)),
        lambda: matching.match(features(1, 128), features(1, 64)),
        lambda: bp.Sequential(layer, layer),
        lambda: bp.load(layer, Path("no.npz")),
        lambda: bp.Conv2d(1, 1, 0),
        lambda: bp.Conv2d(1, 1, 3, padding=-1),
        lambda: bp.Conv2d(1, 1, 3).forward(np.zeros((0, 1, 4, 4))),
        lambda: bp.MaxPool2d(2, padding=2),
        lambda: bp.BatchNorm2d(1).forward(np.zeros((1, 1, 1, 1))),
        lambda: bp.Reshape(3).forward(np.zeros((1, 2))),
        lambda: bp.Sum().forward(np.zeros(1), np.zeros(2)),
        lambda: bp.CrossEntropy().forward(np.zeros((1, 2)), np.array([2])),
        lambda: bp.Adam({}, lr=-1),
        lambda: bp.gradcheck(layer, np.zeros((1, 2))),
        lambda: overflow(np.inf),
        lambda: overflow(1.0),
        lambda: nets.build("resnet", 10),
        lambda: nets.build("nothing like it", 10),
        lambda: nets.build("resnet-8", 10, init="hee"),
        lambda: nets.build("resnet-8", 10, activation="gelu"),
        lambda: nets.build("resnet-8", 0),
        lambda: nets.build("resnet-8"),
        lambda: nets.build("resnet-50-fpn", 10),
        lambda: nets.build("resnet-8", 10, width=3),
        lambda: cifar_weights.load("resnet-8"),
        lambda: cifar_weights.load("resnet-20"),
        explain,
        lambda: data.load("mnist", split="half"),
        lambda: data.load("mnists"),
        *(
            (lambda name=name: data.load(name))
            for name in (
                *("mnist", "fashion", "cifar10", "cifar100", "imagenette", "imagenette5", "cars5"),
                *("cars10", "cars196", "bccd", "mnist5k", "photos", "pairs", "synthetic"),
                *("imagefolder:no", "voc:no", "coco:no"),
            )
        ),
        lambda: photos.photo("chelsea"),
        superclasses.table,
        locked,
        lambda: results.load("no"),
        lambda: statistics.paired_student({1: 1.0}, {1: 2.0}, ()),
        lambda: batches.load_images("photos"),
        lambda: boxes.load_boxes("mnist5k"),
        lambda: paths.gradient_sums_by_length(
            nets.build("plain-8", 2), torch.zeros(2, 3, 8, 8), torch.zeros(2, dtype=torch.int64)
        ),
    )  # fmt: skip


def test_what_is_said_is_in_the_language_asked_for(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PIXGRAD_DATA", "root")
    monkeypatch.setattr("pixgrad.data.files.wheel_folder", lambda *_: None)
    said = {}
    for language in ("", "en"):
        monkeypatch.setenv(LANGUAGE, language)
        said[language] = []
        for refuse in refusals():
            with np.errstate(all="ignore"), pytest.raises(PixgradError) as caught:
                refuse()
            said[language].append(str(caught.value))
    for russian, english in zip(said[""], said["en"], strict=True):
        assert CYRILLIC.search(russian), russian
        assert not CYRILLIC.search(english), english
        assert "\n" not in english
    assert len(said["en"]) > 50


@pytest.mark.parametrize("language", ["en", "EN", "en_GB.UTF-8", "ru", "", None])
def test_russian_unless_english_is_asked_for(monkeypatch, language):
    if language is None:
        monkeypatch.delenv(LANGUAGE, raising=False)
    else:
        monkeypatch.setenv(LANGUAGE, language)
    english = (language or "").lower().startswith("en")
    assert say("да", "yes") == ("yes" if english else "да")
    assert str(PixgradError("да", "yes")) == ("yes" if english else "да")
    error = SourceError("да", "a.txt", 3, english="yes")
    assert str(error) == f"a.txt:3: {error.message}"
    assert error.message == ("yes" if english else "да")
