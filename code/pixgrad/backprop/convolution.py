"""Two-dimensional convolution and pooling.

``Conv2d`` is a strided view and matrix products; `naive` has the definition written as loops.

Layout. Arrays are ``(N, C, H, W)`` for the user, but the convolution keeps them in memory as
``(H, C, W, N)``. With the batch innermost and the row outermost

* shifting by one pixel along the width moves a contiguous run of W·N numbers,
* KH neighbouring rows of all channels are one contiguous block, so a window of rows is a matrix
  without any copy,

and only the width has to be unrolled: KW copies of the input instead of KH·KW, as in the
memory-efficient convolution of Cho and Brand (ICML 2017, arXiv:1706.06873). The result comes out in
the same layout.
"""

import functools
import itertools
import math
from numbers import Integral

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from pixgrad.backprop.inputs import Chance, generator
from pixgrad.backprop.layers import Layer, uniform_init
from pixgrad.checks import whole
from pixgrad.errors import PixgradError, say

Pair = tuple[int, int]


class _Windowed(Layer):
    """What convolution and pooling share: sizes of the window, and the padded input."""

    def __init__(
        self,
        kernel_size: int | Pair,
        stride: int | Pair,
        padding: int | Pair,
        dilation: int | Pair = 1,
    ) -> None:
        super().__init__()
        self.kernel_size, self.stride = _pair(kernel_size, "kernel_size"), _pair(stride, "stride")
        self.padding = _pair(padding, "padding", smallest=0)
        self.dilation = _pair(dilation, "dilation")

    def _padded(self, x: np.ndarray, value: float, channels: int | None = None) -> np.ndarray:
        """(N, C, H, W) -> (H + 2ph, C, W + 2pw, N); ``channels`` is C where only one will do."""
        self._expect_image(x.shape, channels)
        self._x_shape = x.shape
        if not any(self.padding):
            return _layout(x)
        padded = np.full(self._padded_shape, value, x.dtype)
        self._inside(padded)[...] = x
        return padded

    def _expect_image(self, shape: tuple[int, ...], channels: int | None) -> None:
        extents = [d * (k - 1) + 1 for d, k in zip(self.dilation, self.kernel_size, strict=True)]
        h, w = (max(1, e - 2 * p) for e, p in zip(extents, self.padding, strict=True))
        fits = len(shape) == 4 and shape[1] == (channels or shape[1])
        fits = fits and shape[2] >= h and shape[3] >= w
        self._expect(fits, f"(N, {channels or 'C'}, H ≥ {h}, W ≥ {w})", shape)
        one = say("хотя бы с одним примером", "of at least one example")
        self._expect(shape[0] > 0, one, shape)

    @property
    def _padded_shape(self) -> tuple[int, int, int, int]:
        (n, c, h, w), (ph, pw) = self._x_shape, self.padding
        return h + 2 * ph, c, w + 2 * pw, n

    def _inside(self, padded: np.ndarray) -> np.ndarray:
        """The input's part of what ``_padded`` made, as (N, C, H, W); a view."""
        (_, _, h, w), (ph, pw) = self._x_shape, self.padding
        return padded[ph : ph + h, :, pw : pw + w].transpose(3, 1, 0, 2)


class Conv2d(_Windowed):
    """Cross-correlation with a bank of kernels, which deep learning calls convolution.

    y[n, o, i, j] = b[o] + Σ_{c,k,l} w[o, c, k, l] · x[n, c, i·s + k·d - p, j·s + l·d - p]

    Parameters
    ----------
    in_channels, out_channels : C and O, both divisible by ``groups``.
    kernel_size, stride, padding, dilation : (vertical, horizontal) or one number for both.
    groups : output group g sees input group g only; ``in_channels`` makes it depthwise.
    dtype : of the parameters.
    rng : generator (or its seed) of the initial values, uniform in ±1/√fan_in as in PyTorch.
    bias : whether there is a b.

    Attributes
    ----------
    weight : (O, C / groups, KH, KW).
    bias : (O,), or None.

    Examples
    --------
    >>> edges = Conv2d(1, 1, (1, 2), bias=False)
    >>> edges.weight[:] = [[[[-1, 1]]]]
    >>> edges.forward(np.array([[[[0.0, 0.0, 5.0, 5.0]]]]))
    array([[[[0., 5., 0.]]]], dtype=float32)
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | Pair,
        stride: int | Pair = 1,
        padding: int | Pair = 0,
        dilation: int | Pair = 1,
        groups: int = 1,
        dtype: np.typing.DTypeLike = np.float32,
        rng: Chance = None,
        bias: bool = True,
    ) -> None:
        super().__init__(kernel_size, stride, padding, dilation)
        in_channels = self.in_channels = whole("in_channels", in_channels)
        groups = self.groups = whole("groups", groups)
        out_channels = whole("out_channels", out_channels)
        kh, kw = self.kernel_size
        self.name = f"Conv2d({in_channels}, {out_channels}, {kh}×{kw})"
        if in_channels % groups or out_channels % groups:
            raise PixgradError(
                f"слой {self.name}: {in_channels} входных и {out_channels} выходных каналов "
                f"не делятся на groups = {groups}",
                f"layer {self.name}: {in_channels} input and {out_channels} output channels "
                f"cannot be divided by groups = {groups}",
            )
        shape = (out_channels, in_channels // groups, kh, kw)
        fan_in = in_channels // groups * kh * kw
        self.weight, self.bias = uniform_init(shape, fan_in, dtype, generator(rng), bias)

    def forward(self, x: np.ndarray) -> np.ndarray:
        """(N, C, H, W) -> (N, O, OH, OW)."""
        padded = self._padded(x.astype(self.weight.dtype, copy=False), 0, self.in_channels)
        rows = self._rows(self._unroll_width(padded))
        g, oh, _, _ = rows.shape
        y = np.empty((oh, g, len(self.weight) // g, rows.shape[-1]), self.weight.dtype)
        np.matmul(self._kernels(), rows, out=y.swapaxes(0, 1))
        if self.bias is not None:
            y += self.bias.reshape(g, -1, 1)
        self._rows_of_x = rows
        return y.reshape(oh, len(self.weight), -1, len(x)).transpose(3, 1, 0, 2)

    def backward(self, dy: np.ndarray) -> np.ndarray | None:
        """Gradients by weight and bias are products with ``dy``; by x see ``_input_grad``."""
        g, (o, cg, kh, kw) = self.groups, self.weight.shape
        n, _, oh, ow = dy.shape
        dy = _layout(dy).reshape(oh, g, o // g, ow * n).swapaxes(0, 1)
        # A product a row of the output, then the sum; BLAS is 1.7 × faster in this order.
        dw = np.matmul(self._rows_of_x, dy.swapaxes(-1, -2)).sum(axis=1)
        dw = dw.reshape(g, kh, cg, kw, o // g).transpose(0, 4, 2, 1, 3)
        self.grads["weight"] = dw.reshape(self.weight.shape)
        if self.bias is not None:
            self.grads["bias"] = dy.sum(axis=(1, 3)).reshape(-1)
        return self._input_grad(dy, ow) if self.needs_input_grad else None

    def _input_grad(self, dy: np.ndarray, ow: int) -> np.ndarray:
        """Correlation with the flipped kernel along the height, shifted adds along the width.

        ``dy`` is (G, OH, O/G, OW·N). Between its rows come stride - 1 rows of zeros and around them
        (KH - 1)·dilation, so that a window of KH rows of it meets input row h with the kernel
        upside down.
        """
        hp, c, wp, n = self._padded_shape
        g, (o, cg, kh, kw) = self.groups, self.weight.shape
        (sh, sw), (dh, dw), halo = self.stride, self.dilation, self.dilation[0] * (kh - 1)
        spaced = np.zeros((g, hp + halo, o // g, ow * n), dy.dtype)
        spaced[:, halo : halo + sh * dy.shape[1] : sh] = dy
        rows = _row_windows(spaced, kh, 1, dh).reshape(g, hp, kh * o // g, ow * n)
        flipped = self.weight.reshape(g, o // g, cg, kh, kw)[:, :, :, ::-1]
        flipped = flipped.transpose(0, 2, 4, 3, 1).reshape(g, 1, cg * kw, kh * o // g)
        columns = np.matmul(flipped, rows).reshape(g, hp, cg, kw, ow, n)
        dx = np.zeros((hp, g, cg, wp, n), dy.dtype)
        for k in range(kw):
            target = dx[:, :, :, k * dw : k * dw + sw * (ow - 1) + 1 : sw]
            target += columns[:, :, :, k].swapaxes(0, 1)
        return self._inside(dx.reshape(hp, c, wp, n))

    def _unroll_width(self, padded: np.ndarray) -> np.ndarray:
        """(H, C, W, N) -> (G, H, C/G, KW, OW, N): the input seen by each kernel column."""
        h, c = padded.shape[:2]
        (_, kw), (_, s), (_, d) = self.kernel_size, self.stride, self.dilation
        shifted = sliding_window_view(padded, d * (kw - 1) + 1, axis=2)[:, :, ::s, :, ::d]
        grouped = shifted.reshape(h, self.groups, c // self.groups, *shifted.shape[2:])
        return np.ascontiguousarray(grouped.transpose(1, 0, 2, 5, 3, 4))

    def _rows(self, unrolled: np.ndarray) -> np.ndarray:
        """(G, H, C/G, KW, OW, N) -> (G, OH, KH·C/G·KW, OW·N); a view unless dilated vertically."""
        g, h, cg, kw, ow, n = unrolled.shape
        flat = unrolled.reshape(g, h, cg * kw, ow * n)
        windows = _row_windows(flat, self.kernel_size[0], self.stride[0], self.dilation[0])
        return windows.reshape(g, windows.shape[1], -1, ow * n)

    def _kernels(self) -> np.ndarray:
        """The weight as (G, 1, O/G, KH·C/G·KW), ready to multiply ``_rows``."""
        o, cg, kh, kw = self.weight.shape
        g = self.groups
        return self.weight.reshape(g, o // g, cg, kh, kw).swapaxes(2, 3).reshape(g, 1, o // g, -1)


class _Pool2d(_Windowed):
    """What the poolings share: the windows as KH·KW shifted slices."""

    def __init__(
        self, kernel_size: int | Pair, stride: int | Pair | None = None, padding: int | Pair = 0
    ) -> None:
        super().__init__(kernel_size, kernel_size if stride is None else stride, padding)
        if any(p > k // 2 for p, k in zip(self.padding, self.kernel_size, strict=True)):
            raise PixgradError(
                f"пулинг: дополнение {self.padding} больше половины окна {self.kernel_size}: "
                "некоторые окна целиком лежали бы в нём",
                f"pooling: padding {self.padding} is more than half of the window "
                f"{self.kernel_size}: some windows would lie in it altogether",
            )
        self.name = f"{type(self).__name__}({self.kernel_size[0]}×{self.kernel_size[1]})"

    def _slices(self, padded: np.ndarray) -> list[np.ndarray]:
        """For each place in the window, the (OH, C, OW, N) values that windows have there."""
        (kh, kw), (sh, sw) = self.kernel_size, self.stride
        oh, ow = (padded.shape[0] - kh) // sh + 1, (padded.shape[2] - kw) // sw + 1
        return [
            padded[i : i + sh * (oh - 1) + 1 : sh, :, j : j + sw * (ow - 1) + 1 : sw]
            for i, j in itertools.product(range(kh), range(kw))
        ]


class MaxPool2d(_Pool2d):
    """The largest value of each window; the gradient goes to the first largest one.

    Padding counts as minus infinity, as in PyTorch.

    Examples
    --------
    >>> layer = MaxPool2d(2)
    >>> layer.forward(np.array([[[[1.0, 2.0], [7.0, 3.0]]]]))
    array([[[[7.]]]])
    >>> layer.backward(np.array([[[[5.0]]]]))
    array([[[[0., 0.],
             [5., 0.]]]])
    """

    def forward(self, x: np.ndarray) -> np.ndarray:
        """(N, C, H, W) -> (N, C, OH, OW)."""
        padded = self._padded(x, -np.inf)
        first, *others = self._slices(padded)
        y = first.copy()
        self._winner = np.zeros(y.shape, np.min_scalar_type(len(others)))
        inside, *insides = self._inner_slices() if any(self.padding) else [True] * (len(others) + 1)
        for place, (values, real) in enumerate(zip(others, insides, strict=True), start=1):
            # Places grow, so the maximum of place numbers is the latest strictly larger value.
            # A window of minus infinities is won by its first pixel, not by the padding.
            better = values > y
            if any(self.padding):
                better |= real & ~inside
                inside = inside | real
            larger = better.view(np.uint8) * self._winner.dtype.type(place)
            np.maximum(self._winner, larger, out=self._winner)
            np.maximum(y, values, out=y)
        return y.transpose(3, 1, 0, 2)

    def _inner_slices(self) -> list[np.ndarray]:
        """For each place in the window, whether windows have a pixel there: (OH, 1, OW, 1)."""
        height, _, width, _ = self._padded_shape
        real = np.zeros((height, 1, width, 1), bool)
        (ph, pw), (_, _, h, w) = self.padding, self._x_shape
        real[ph : ph + h, :, pw : pw + w] = True
        return self._slices(real)

    def backward(self, dy: np.ndarray) -> np.ndarray:
        dy = _layout(dy)
        dx = np.zeros(self._padded_shape, dy.dtype)
        disjoint = all(s >= k for s, k in zip(self.stride, self.kernel_size, strict=True))
        for place, target in enumerate(self._slices(dx)):
            won = self._winner == place
            if disjoint:  # writing takes half the time of adding
                np.multiply(dy, won, out=target)
            else:
                target += dy * won
        return self._inside(dx)


class AvgPool2d(_Pool2d):
    """The mean of each window; zeros of the padding count, as in PyTorch's default.

    Examples
    --------
    >>> AvgPool2d(2).forward(np.array([[[[1.0, 2.0], [7.0, 2.0]]]]))
    array([[[[3.]]]])
    """

    def forward(self, x: np.ndarray) -> np.ndarray:
        """(N, C, H, W) -> (N, C, OH, OW)."""
        sums = functools.reduce(np.add, self._slices(self._padded(x, 0)))
        return (sums / math.prod(self.kernel_size)).transpose(3, 1, 0, 2)

    def backward(self, dy: np.ndarray) -> np.ndarray:
        share = _layout(dy) / math.prod(self.kernel_size)
        dx = np.zeros(self._padded_shape, dy.dtype)
        for target in self._slices(dx):
            target += share
        return self._inside(dx)


def _row_windows(x: np.ndarray, size: int, stride: int, dilation: int) -> np.ndarray:
    """(G, H, A, B) -> (G, OH, size, A, B): windows of rows, a view."""
    windows = sliding_window_view(x, dilation * (size - 1) + 1, axis=1)
    return np.moveaxis(windows[:, ::stride, :, :, ::dilation], -1, 2)


def _layout(x: np.ndarray) -> np.ndarray:
    """(N, C, H, W) -> contiguous (H, C, W, N); copies only if it must."""
    return np.ascontiguousarray(x.transpose(2, 1, 3, 0))


def _pair(value: int | Pair, what: str, smallest: int = 1) -> Pair:
    """Both numbers of a window's size, stride…

    Raises
    ------
    PixgradError : not one or two whole numbers from ``smallest`` on.
    """
    pair = (value, value) if isinstance(value, Integral) else value
    fits = isinstance(pair, tuple | list) and all(
        isinstance(one, Integral) and not isinstance(one, bool) for one in pair
    )
    if not fits or len(pair) != 2 or min(pair) < smallest:
        raise PixgradError(
            f"{what}: нужно одно целое число от {smallest} или пара таких, получено {value!r}",
            f"{what}: give a whole number from {smallest} on or a pair of them, not {value!r}",
        )
    return int(pair[0]), int(pair[1])
