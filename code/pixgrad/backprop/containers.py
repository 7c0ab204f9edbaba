"""Networks made of layers, and their storage."""

import io
import zipfile
import zlib
from collections import Counter
from pathlib import Path

import numpy as np

from pixgrad.backprop.layers import Layer
from pixgrad.backprop.shapes import Sum
from pixgrad.errors import PixgradError
from pixgrad.files import write


class Sequential(Layer):
    """Layers one after another: forward in order, backward in the opposite order.

    Examples
    --------
    >>> from pixgrad.backprop import Linear, ReLU
    >>> net = Sequential(Linear(2, 3, rng=0), ReLU(), Linear(3, 1, rng=1))
    >>> net.forward(np.ones((5, 2))).shape
    (5, 1)
    >>> net.backward(np.ones((5, 1))).shape
    (5, 2)
    >>> sorted(net.gradients())
    ['0.bias', '0.weight', '2.bias', '2.weight']
    """

    def __init__(self, *layers: Layer) -> None:
        super().__init__()
        self.layers = layers
        _add_place_to_names(self)

    def children(self) -> dict[str, Layer]:
        return {str(place): layer for place, layer in enumerate(self.layers)}

    def forward(self, x: np.ndarray) -> np.ndarray:
        for layer in self.layers:
            x = layer.forward(x)
        return x

    def backward(self, dy: np.ndarray) -> np.ndarray | None:
        for layer in reversed(self.layers):
            dy = layer.backward(dy)
        return dy


class Residual(Layer):
    """y = body(x) + shortcut(x); without ``shortcut`` the input itself is added.

    He et al. 2015 (arXiv:1512.03385), formula (1).

    Examples
    --------
    >>> from pixgrad.backprop import Linear
    >>> body = Linear(2, 2)
    >>> body.weight[:], body.bias[:] = 0, 1
    >>> Residual(body).forward(np.array([[10.0, 20.0]]))
    array([[11., 21.]])
    """

    def __init__(self, body: Layer, shortcut: Layer | None = None) -> None:
        super().__init__()
        self.body, self.shortcut, self.sum = body, shortcut, Sum()
        _add_place_to_names(self)

    def children(self) -> dict[str, Layer]:
        shortcut = {} if self.shortcut is None else {"shortcut": self.shortcut}
        return {"body": self.body, **shortcut, "sum": self.sum}

    def forward(self, x: np.ndarray) -> np.ndarray:
        skip = x if self.shortcut is None else self.shortcut.forward(x)
        return self.sum.forward(self.body.forward(x), skip)

    def backward(self, dy: np.ndarray) -> np.ndarray:
        through_body, through_skip = self.sum.backward(dy)
        if self.shortcut is not None:
            through_skip = self.shortcut.backward(through_skip)
        return self.body.backward(through_body) + through_skip


def save(model: Layer, path: Path) -> None:
    """Write parameters and running statistics as ``.npz`` (atomically, no pickles).

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from pixgrad.backprop import Linear
    >>> net = Sequential(Linear(2, 1))
    >>> with TemporaryDirectory() as folder:
    ...     save(net, Path(folder, "net.npz"))
    ...     sorted(np.load(Path(folder, "net.npz")))
    ...
    ['0.bias', '0.weight']
    """
    write_npz(Path(path), model.state())


def load(model: Layer, path: Path) -> None:
    """Read what ``save`` wrote into a model of the same structure, in place.

    Raises
    ------
    PixgradError : the file holds other names or shapes than the model.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from pixgrad.backprop import Linear
    >>> first, second = Sequential(Linear(2, 1)), Sequential(Linear(2, 1))
    >>> with TemporaryDirectory() as folder:
    ...     save(first, Path(folder, "net.npz"))
    ...     load(second, Path(folder, "net.npz"))
    ...
    >>> bool((first.layers[0].weight == second.layers[0].weight).all())
    True
    """
    try:
        with np.load(path, allow_pickle=False) as stored:
            arrays = dict(stored)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise PixgradError(
            f"{path}: веса не читаются ({error or type(error).__name__})",
            f"{path}: the weights cannot be read ({error or type(error).__name__})",
        ) from None
    restore(model.state(), arrays, str(path))


def restore(targets: dict[str, np.ndarray], stored: dict[str, np.ndarray], source: str) -> None:
    """Copy ``stored`` arrays into the ``targets`` of the same names, in place; all or none."""
    if stored.keys() != targets.keys():
        odd = sorted(stored.keys() ^ targets.keys())
        raise PixgradError(
            f"{source}: набор массивов не тот, что у сети; различаются: {odd}",
            f"{source}: not the arrays of this network; these differ: {odd}",
        )
    for name, target in targets.items():
        if stored[name].shape != target.shape:
            raise PixgradError(
                f"{source}: {name} — ожидается форма {target.shape}, в файле {stored[name].shape}",
                f"{source}: {name} — expected shape {target.shape}, found {stored[name].shape}",
            )
        if not np.can_cast(stored[name].dtype, target.dtype, "same_kind"):
            raise PixgradError(
                f"{source}: {name} — тип {stored[name].dtype}, нужен {target.dtype}",
                f"{source}: {name} — type {stored[name].dtype}, expected {target.dtype}",
            )
    for name, target in targets.items():
        target[...] = stored[name]


def write_npz(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """``np.savez_compressed``, all or nothing."""
    packed = io.BytesIO()
    np.savez_compressed(packed, **arrays)
    write(path, packed.getbuffer())


def _add_place_to_names(container: Layer) -> None:
    """Errors then say where the layer is: ``3.body.0: Conv2d(6, 16, 3×3)``.

    Raises
    ------
    PixgradError : a layer stands in two places: it remembers one input, so the gradient of the
        other place would be wrong.
    """
    for child in container.children().values():
        if not isinstance(child, Layer):
            raise PixgradError(
                f"{type(container).__name__}: {child!r} — не слой",
                f"{type(container).__name__}: {child!r} is no layer",
            )
    twice = [
        leaf for leaf, times in Counter(of for _, of in container.leaves()).items() if times > 1
    ]
    if twice:
        raise PixgradError(
            f"слой {twice[0].name} стоит в сети дважды; он помнит только один вход, "
            "создайте по слою на место",
            f"the layer {twice[0].name} stands in the network twice; it remembers one input only, "
            "make a layer for each place",
        )
    for place, child in container.children().items():
        for _, leaf in child.leaves():
            separator = ": " if leaf is child else "."
            leaf.name = f"{place}{separator}{leaf.name}"
