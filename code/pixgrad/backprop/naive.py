"""Convolution by its definition, as loops: to be read and to test against."""

import numpy as np

from pixgrad.backprop.convolution import Conv2d, Pair
from pixgrad.backprop.inputs import ShapeError, floating


def naive_forward(layer: Conv2d, x: np.ndarray) -> np.ndarray:
    """The definition of ``Conv2d.forward`` as loops.

    Parameters
    ----------
    layer : the convolution whose parameters are used.
    x : (N, C, H, W).

    Returns
    -------
    (N, O, OH, OW).

    Examples
    --------
    >>> from pixgrad.backprop import Conv2d
    >>> layer, x = Conv2d(1, 2, 3, dtype=np.float64), np.ones((1, 1, 4, 4))
    >>> bool(np.allclose(naive_forward(layer, x), layer.forward(x)))
    True
    """
    x = _pad_nchw(_image(layer, x), layer.padding)
    y = np.empty((len(x), len(layer.weight), *_output_size(layer, x.shape[2:])), x.dtype)
    for (n, o, i, j), inside in _windows(layer, y.shape):
        y[n, o, i, j] = np.sum(layer.weight[o] * x[(n, *inside)])
        if layer.bias is not None:
            y[n, o, i, j] += layer.bias[o]
    return y


def naive_backward(
    layer: Conv2d, x: np.ndarray, dy: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The chain rule for ``naive_forward``: each output hands its gradient to what it was made of.

    Returns
    -------
    dx, dweight, dbias, shaped as x, weight and bias.

    Examples
    --------
    >>> from pixgrad.backprop import Conv2d
    >>> layer, x = Conv2d(1, 2, 3, dtype=np.float64), np.ones((1, 1, 4, 4))
    >>> dy = np.ones_like(layer.forward(x))
    >>> dx, dweight, dbias = naive_backward(layer, x, dy)
    >>> bool(np.allclose(dx, layer.backward(dy)))
    True
    """
    x, dy = _image(layer, x), _gradient(layer, x, dy)
    padded = _pad_nchw(x, layer.padding)
    dx, dw = np.zeros_like(padded), np.zeros_like(layer.weight)
    db = np.zeros(len(dw), dw.dtype)
    for (n, o, i, j), inside in _windows(layer, dy.shape):
        dx[(n, *inside)] += dy[n, o, i, j] * layer.weight[o]
        dw[o] += dy[n, o, i, j] * padded[(n, *inside)]
        db[o] += dy[n, o, i, j]
    (ph, pw), (h, w) = layer.padding, x.shape[2:]
    return dx[:, :, ph : ph + h, pw : pw + w], dw, db


def _windows(layer: Conv2d, y_shape: tuple[int, ...]):
    """For each output index: the slices (channels, rows, columns) of the input that it sees."""
    (kh, kw), (sh, sw), (dh, dw) = layer.kernel_size, layer.stride, layer.dilation
    cg, og = layer.weight.shape[1], len(layer.weight) // layer.groups
    for n, o, i, j in np.ndindex(*y_shape):
        channels = slice(o // og * cg, (o // og + 1) * cg)
        rows = slice(i * sh, i * sh + dh * (kh - 1) + 1, dh)
        columns = slice(j * sw, j * sw + dw * (kw - 1) + 1, dw)
        yield (n, o, i, j), (channels, rows, columns)


def _output_size(layer: Conv2d, padded: tuple[int, ...]) -> Pair:
    sizes = zip(padded, layer.kernel_size, layer.stride, layer.dilation, strict=True)
    height, width = ((n - d * (k - 1) - 1) // s + 1 for n, k, s, d in sizes)
    return height, width


def _image(layer: Conv2d, x: np.ndarray) -> np.ndarray:
    """An image that the layer takes, in the type of its weights."""
    x = floating(x, layer.weight.dtype)
    layer._expect_image(x.shape, layer.in_channels)
    return x


def _gradient(layer: Conv2d, x: np.ndarray, dy: np.ndarray) -> np.ndarray:
    """A gradient of the shape that the output has."""
    dy = floating(dy, layer.weight.dtype)
    padded = (n + 2 * p for n, p in zip(np.shape(x)[2:], layer.padding, strict=True))
    expected = (len(x), len(layer.weight), *_output_size(layer, tuple(padded)))
    if dy.shape != expected:
        raise ShapeError(
            f"слой {layer.name}: градиент {dy.shape}, а выход: {expected}",
            f"layer {layer.name}: gradient {dy.shape}, but the output: {expected}",
        )
    return dy


def _pad_nchw(x: np.ndarray, padding: Pair) -> np.ndarray:
    return np.pad(x, ((0, 0), (0, 0), *((p, p) for p in padding)))
