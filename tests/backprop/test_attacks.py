"""Inputs and settings that layers, losses, optimisers and storage were not written for."""

from __future__ import annotations

import zipfile
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pixgrad import backprop as bp
from pixgrad.errors import PixgradError

torch = pytest.importorskip("torch")
nn = torch.nn


def random(*shape: int) -> np.ndarray:
    return np.random.default_rng(1).standard_normal(shape)


def assert_like(ours: bp.Layer, theirs, x: np.ndarray) -> None:
    """The same weights, output and gradients."""
    theirs = theirs.double()
    for name, array in ours.parameters().items():
        getattr(theirs, name).data = torch.from_numpy(array.copy())
    given = torch.from_numpy(x).requires_grad_()
    expected = theirs(given)
    got = ours.forward(x)
    dy = random(*got.shape)
    expected.backward(torch.from_numpy(dy))
    np.testing.assert_allclose(got, expected.detach().numpy(), atol=1e-12)
    np.testing.assert_allclose(ours.backward(dy), given.grad.numpy(), atol=1e-11)
    for name, gradient in ours.gradients().items():
        np.testing.assert_allclose(gradient, getattr(theirs, name).grad.numpy(), atol=1e-11)


@pytest.mark.parametrize("shape", [(5, 4), (2, 3, 4), (2, 3, 2, 4)])
@pytest.mark.parametrize("bias", [True, False])
def test_linear_on_any_number_of_axes(shape, bias):
    ours = bp.Linear(4, 3, dtype=np.float64, bias=bias)
    assert_like(ours, nn.Linear(4, 3, bias=bias), random(*shape))


def test_convolution_without_a_bias():
    ours = bp.Conv2d(2, 4, 3, stride=2, padding=1, groups=2, dtype=np.float64, bias=False)
    x = random(2, 2, 7, 6)
    assert_like(ours, nn.Conv2d(2, 4, 3, 2, 1, groups=2, bias=False), x)
    assert list(ours.parameters()) == ["weight"]
    np.testing.assert_allclose(bp.naive_forward(ours, x), ours.forward(x), atol=1e-12)
    dx, dw, _ = bp.naive_backward(ours, x, dy := random(*ours.forward(x).shape))
    np.testing.assert_allclose(dx, ours.backward(dy), atol=1e-12)
    np.testing.assert_allclose(dw, ours.grads["weight"], atol=1e-12)


@pytest.mark.parametrize("training", [True, False])
def test_batch_normalisation_with_other_settings(training):
    ours = bp.BatchNorm2d(3, np.float64, eps=1e-2, momentum=0.3)
    theirs = nn.BatchNorm2d(3, eps=1e-2, momentum=0.3)
    ours.train(training)
    theirs.train(training)
    for _ in range(3):
        assert_like(ours, theirs, random(4, 3, 5, 2))
        theirs.zero_grad()
    for name in bp.BatchNorm2d.buffers:
        np.testing.assert_allclose(getattr(ours, name), getattr(theirs, name).numpy(), atol=1e-12)


def test_batch_normalisation_goes_back_as_it_went_forward():
    """F11: the mode may change between the two."""
    x, dy = random(4, 2, 3, 3), random(4, 2, 3, 3)
    expected = {}
    for mode in (True, False):
        layer = bp.BatchNorm2d(2, np.float64)
        layer.train(mode)
        layer.forward(x)
        expected[mode] = layer.backward(dy)
        layer.train(not mode)
        np.testing.assert_array_equal(layer.backward(dy), expected[mode])
    assert np.abs(expected[True] - expected[False]).max() > 0.01


def test_prediction_gives_every_layer_its_mode_back():
    """F11: a frozen layer stays frozen, after an exception too."""
    frozen = bp.BatchNorm2d(1)
    net = bp.Sequential(bp.Conv2d(1, 1, 3), frozen, bp.Flatten())
    frozen.training = False
    for x in (np.ones((3, 1, 4, 4)), np.ones((3, 2, 4, 4))):
        try:
            bp.predict(net, x)
        except PixgradError:
            assert x.shape[1] == 2
        assert (net.training, net.layers[0].training, frozen.training) == (True, True, False)
    with pytest.raises(PixgradError, match="хотя бы с одним примером"):
        bp.predict(net, np.ones((0, 1, 4, 4)))


@pytest.mark.parametrize("inside", [True, False])
def test_a_layer_in_two_places_is_refused(inside):
    """F4: it remembers one input; the gradient was wrong by up to 130 %."""
    layer = bp.Linear(3, 3)
    second = bp.Residual(layer) if inside else layer
    with pytest.raises(PixgradError, match=r"Linear\(3, 3\) стоит в сети дважды"):
        bp.Sequential(layer, bp.ReLU(), second)


def test_layers_of_their_own_accord_differ():
    """F15: the same default generator, not the same weights."""
    one, two = bp.Linear(3, 3), bp.Linear(3, 3)
    assert np.abs(one.weight - two.weight).min() > 0


WHOLE = st.sampled_from([np.uint8, np.int32, np.int64, bool])
LAYERS = {
    "linear": (partial(bp.Linear, 5, 2), (3, 5)),
    "convolution": (partial(bp.Conv2d, 2, 3, 2), (2, 2, 4, 4)),
    "naive": (partial(bp.Conv2d, 2, 3, 2), (2, 2, 4, 4)),
    "batch norm": (partial(bp.BatchNorm2d, 2), (2, 2, 4, 4)),
    "max": (partial(bp.MaxPool2d, 2, padding=1), (2, 2, 4, 4)),
    "mean": (partial(bp.AvgPool2d, 2), (2, 2, 4, 4)),
    "sigmoid": (bp.Sigmoid, (3, 5)),
    "tanh": (bp.Tanh, (3, 5)),
    "softmax": (bp.Softmax, (3, 5)),
    "dropout": (bp.Dropout, (3, 5)),
    "MSE": (bp.MSE, (3, 5)),
}


@settings(max_examples=60, deadline=None)
@given(name=st.sampled_from(sorted(LAYERS)), dtype=WHOLE, seed=st.integers(0, 1000))
def test_whole_numbers_mean_the_same_floats(name, dtype, seed):
    """F15: MSE gave zeros, batch norm NaN, sigmoid and softmax of uint8 wrapped."""
    make, shape = LAYERS[name]
    x = np.random.default_rng(seed).integers(0, 2 if dtype is bool else 100, shape).astype(dtype)
    found = []
    for of in (x, x.astype(np.float32)):
        layer = make(rng=np.random.default_rng(5)) if "rng" in str(_signature(make)) else make()
        if name == "MSE":
            found.append((layer.forward(of, of[::-1]), layer.backward()))
        elif name == "naive":
            found.append((bp.naive_forward(layer, of),))
        else:
            y = layer.forward(of)
            found.append((y, layer.backward(np.ones_like(y))))
    for one, two in zip(*found, strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-5, atol=1e-6)
        assert np.asarray(one).dtype.kind == "f"


def _signature(make):
    import inspect

    return inspect.signature(make)


EVERY_LAYER = {
    **{name: LAYERS[name] for name in LAYERS.keys() - {"naive", "MSE"}},
    "relu": (bp.ReLU, (3, 5)),
    "flatten": (bp.Flatten, (3, 5)),
    "attention": (partial(bp.Attention, 4, 2), (2, 3, 4)),
    "sequential": (lambda: bp.Sequential(bp.Linear(5, 2), bp.Tanh()), (3, 5)),
    "residual": (lambda: bp.Residual(bp.Linear(5, 5)), (3, 5)),
}


@pytest.mark.parametrize("name", sorted(EVERY_LAYER))
def test_what_every_layer_takes_and_refuses(name):
    """Lists and integers are numbers; text and complex numbers, another gradient are not."""
    make, shape = EVERY_LAYER[name]
    x = np.random.default_rng(1).integers(0, 9, shape)
    layer = make()
    with pytest.raises(PixgradError, match="forward не вызывали"):
        layer.backward(np.zeros(shape, np.float32))
    y = layer.forward(x.tolist())
    assert y.dtype == np.float32
    for dy in (np.zeros((7, *y.shape)), np.zeros(y.shape[:-1]), np.zeros(3), 1.0):
        with pytest.raises(bp.ShapeError, match="градиент"):
            layer.backward(dy)
    assert layer.backward(np.ones(y.shape, int)).shape == shape
    for junk in (x.astype(str), x.astype(complex), x.astype(object)):
        with pytest.raises(PixgradError, match="вещественные числа"):
            layer.forward(junk)
        with pytest.raises(PixgradError, match="вещественные числа"):
            layer.backward(np.ones(y.shape).astype(junk.dtype))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: bp.Linear(0, 1), "in_features=0"),
        (lambda: bp.Linear(2, 1.5), "out_features=1.5"),
        (lambda: bp.Linear(2, 1, dtype=int), "dtype=<class 'int'>"),
        (lambda: bp.Linear(2, 1, dtype="foo"), "dtype='foo'"),
        (lambda: bp.Linear(2, 1, rng="a"), "rng='a'"),
        (lambda: bp.Linear(2, 1, rng=-1), "rng=-1"),
        (lambda: bp.Conv2d(-1, 1, 3), "in_channels=-1"),
        (lambda: bp.Conv2d(1, None, 3), "out_channels=None"),
        (lambda: bp.Conv2d(1, 1, 3, groups=0), "groups=0"),
        (lambda: bp.Conv2d(1, 1, True), "получено True"),
        (lambda: bp.BatchNorm2d(0), "num_features=0"),
        (lambda: bp.BatchNorm2d(1, eps=-1), "eps=-1"),
        (lambda: bp.BatchNorm2d(1, momentum=None), "momentum=None"),
        (lambda: bp.BatchNorm2d(1, dtype=np.int32), "dtype="),
        (lambda: bp.Attention(2, 0), "head_features=0"),
        (lambda: bp.Dropout("a"), "p = 'a'"),
        (lambda: bp.Dropout(np.nan), "p = nan"),
        (lambda: bp.Reshape(0), "shape=0"),
        (lambda: bp.Reshape(-1, -1), "только одна"),
        (lambda: bp.Sequential(bp.ReLU(), 3), "3 — не слой"),
        (lambda: bp.Residual(np.tanh), "не слой"),
        (lambda: bp.lenet((0, 1, 2)), "out_channels=0"),
        (lambda: bp.predict(bp.ReLU(), np.zeros((2, 2)), 0), "batch_size=0"),
        (lambda: bp.predict(bp.ReLU(), np.zeros((2, 2)), 1.5), "batch_size=1.5"),
        (lambda: bp.gradcheck(bp.ReLU(), np.ones((1, 2)), step=0), "step=0"),
        (lambda: bp.Linear(2, 1).gradients(), "градиентов ещё нет"),
        (lambda: bp.MSE().backward(), "сначала вызовите forward"),
        (lambda: bp.CrossEntropy().backward(), "сначала вызовите forward"),
        (lambda: bp.CrossEntropy().forward(np.zeros((1, 0)), [0]), "получена 0"),
        (lambda: bp.CrossEntropy().forward(np.zeros((1, 2)), ["a"]), "метки типа <U1"),
        (lambda: bp.Softmax().forward(np.zeros((2, 0))), "ожидается вход"),
        (lambda: bp.Flatten().forward(np.zeros((0, 2))), "хотя бы с одним примером"),
        (lambda: bp.Flatten().forward(np.float32(1)), "хотя бы с одним примером"),
        (lambda: bp.Attention(2, 2).forward(np.zeros((1, 0, 2))), "ожидается вход"),
        (lambda: bp.naive_forward(bp.Conv2d(2, 1, 3), np.zeros((1, 1, 5, 5))), r"\(N, 2, H"),
        (lambda: bp.naive_forward(bp.Conv2d(1, 1, 3), np.zeros((1, 1, 2, 2))), "H ≥ 3"),
        (
            lambda: bp.naive_backward(
                bp.Conv2d(1, 1, 3), np.zeros((1, 1, 5, 5)), np.zeros((1, 1, 9, 9))
            ),
            "градиент",
        ),
        (lambda: bp.Adam({"w": np.ones(2)}).step({}), "w: форма параметра"),
        (lambda: bp.Adam({"w": np.ones(2)}).step({"w": np.ones((3, 2))}), "w: форма параметра"),
    ],
)
def test_numbers_and_shapes_that_cannot_be(make, message):
    """F13, F15: raw exceptions, or, where NumPy stretched an array, wrong numbers."""
    with pytest.raises(PixgradError, match=message):
        make()


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([0, -1], "целое число от 0 до 2, получена -1"),
        ([0, 3], "получена 3"),
        ([True, False], "метки типа bool"),
        ([0.0, 1.0], "метки типа float64"),
    ],
)
def test_labels_out_of_range_are_refused(labels, message):
    """F5: −1 trained the last class."""
    with pytest.raises(PixgradError, match=message):
        bp.CrossEntropy().forward(np.zeros((2, 3)), np.array(labels))


def test_an_empty_batch_is_refused():
    for loss, target in ((bp.CrossEntropy(), np.zeros(0, int)), (bp.MSE(), np.zeros((0, 3)))):
        with pytest.raises(PixgradError):
            loss.forward(np.zeros((0, 3)), target)


@pytest.mark.parametrize(
    "options",
    [
        {"kernel_size": 0},
        {"kernel_size": 2.5},
        {"kernel_size": (3,)},
        {"kernel_size": "3"},
        {"kernel_size": 3, "stride": 0},
        {"kernel_size": 3, "padding": -1},
        {"kernel_size": 3, "padding": "same"},
        {"kernel_size": 3, "dilation": 0},
    ],
)
def test_windows_that_cannot_be(options):
    with pytest.raises(PixgradError, match=r"нужно одно целое число|нужно одно"):
        bp.Conv2d(1, 1, **options)


def test_numpy_integers_are_integers():
    assert bp.Conv2d(1, 1, np.int64(3), padding=np.uint8(1)).kernel_size == (3, 3)


def test_pooling_that_torch_refuses():
    """F10: windows all in the padding gave minus infinity."""
    for pooling in (bp.MaxPool2d, bp.AvgPool2d):
        with pytest.raises(PixgradError, match="больше половины окна"):
            pooling(2, padding=2)
    with pytest.raises(RuntimeError, match="half of"):
        nn.MaxPool2d(2, padding=2)(torch.zeros(1, 1, 4, 4))


@given(seed=st.integers(0, 2**32 - 1), kernel=st.integers(2, 3), stride=st.integers(1, 3))
@settings(max_examples=30, deadline=None)
def test_gradients_of_windows_of_minus_infinity_are_kept(seed, kernel, stride):
    """F10: they went to the padding."""
    rng = np.random.default_rng(seed)
    x = np.where(rng.random((2, 2, 5, 6)) < 0.7, -np.inf, rng.standard_normal((2, 2, 5, 6)))
    given = torch.from_numpy(x).requires_grad_()
    expected = nn.functional.max_pool2d(given, kernel, stride, kernel // 2)
    ours = bp.MaxPool2d(kernel, stride, kernel // 2)
    np.testing.assert_array_equal(ours.forward(x), expected.detach().numpy())
    dy = rng.standard_normal(expected.shape)
    expected.backward(torch.from_numpy(dy))
    np.testing.assert_allclose(ours.backward(dy), given.grad.numpy(), atol=1e-12)


class Exploding(bp.MSE):
    """An infinite loss whose gradient is finite."""

    def forward(self, prediction, target):
        super().forward(prediction, target)
        return float("inf")


@pytest.mark.parametrize("scale", [1e30, 1.0])
def test_nothing_steps_on_a_loss_that_is_not_finite(scale):
    """F3: dropout drew another mask in the diagnosis, and nine of twenty steps were made."""
    for seed in range(20):
        net = bp.Sequential(
            bp.Linear(4, 4, rng=seed), bp.Dropout(0.5, rng=seed), bp.Linear(4, 2, rng=seed)
        )
        before = {name: array.copy() for name, array in net.state().items()}
        x = np.full((1, 4), scale, np.float32)
        x[0, seed % 4] *= np.float32(1e6)
        loss = bp.MSE() if scale > 1 else Exploding()
        optimiser = bp.Adam(net.parameters())
        with np.errstate(all="ignore"), pytest.raises(bp.NonFiniteError):
            for _ in range(10):
                bp.train_step(net, loss, optimiser, x, np.zeros((1, 2), np.float32))
        assert all(np.isfinite(array).all() for array in net.state().values())
        if scale == 1:
            assert all((before[name] == array).all() for name, array in net.state().items())


@pytest.mark.parametrize("make", [bp.Adam, bp.AdaMax, bp.AMSGrad, bp.AdamW, bp.RMSProp, bp.AdaGrad])
def test_a_gradient_that_is_no_number_shows(make):
    """F6: AdaMax froze the parameter for ever, and said nothing."""
    theta = np.ones(2)
    make({"w": theta}).step({"w": np.array([np.nan, 1.0])})
    assert np.isnan(theta[0])
    assert np.isfinite(theta[1])


def test_parameters_of_whole_numbers_are_refused():
    with pytest.raises(PixgradError, match="w = array"):
        bp.Adam({"w": np.ones(2, int)})


@pytest.mark.parametrize(
    ("make", "options"),
    [
        (bp.AdaMax, {"form": "pytorch"}),
        (bp.Adam, {"lr": -1}),
        (bp.Adam, {"lr": float("nan")}),
        (bp.Adam, {"betas": (0.9, 1.0)}),
        (bp.Adam, {"betas": (-0.1, 0.9)}),
        (bp.Adam, {"eps": -1e-8}),
        (bp.Adam, {"weight_decay": -1}),
        (bp.SGD, {"lr": 1, "momentum": -0.9}),
        (bp.SGD, {"lr": 1, "nesterov": True}),
        (bp.RMSProp, {"beta": 1.0}),
        (bp.AdaGrad, {"eps": -1}),
        (bp.Adam, {"lr": "a"}),
        (bp.Adam, {"lr": float("inf")}),
        (bp.Adam, {"betas": 0.9}),
        (bp.Adam, {"betas": (0.9,)}),
        (bp.Adam, {"betas": ("a", "b")}),
        (bp.AMSGrad, {"eps": None}),
        (bp.AdamW, {"weight_decay": float("nan")}),
    ],
)
def test_settings_out_of_range_are_refused(make, options):
    name = [*options][-1]
    with pytest.raises(PixgradError, match=f"{name} = "):
        make({"w": np.ones(1)}, **options)


def test_loading_is_all_or_nothing(tmp_path):
    """F12: earlier arrays were overwritten before a later one was refused."""
    first = bp.Sequential(bp.Linear(3, 3), bp.Linear(3, 2))
    bp.save(first, tmp_path / "a.npz")
    second = bp.Sequential(bp.Linear(3, 3), bp.Linear(3, 1))
    before = {name: array.copy() for name, array in second.state().items()}
    with pytest.raises(PixgradError, match="ожидается форма"):
        bp.load(second, tmp_path / "a.npz")
    assert all((before[name] == array).all() for name, array in second.state().items())


def test_files_that_are_no_weights_are_one_clear_line(tmp_path):
    whole = bp.Sequential(bp.Linear(30, 30))
    bp.save(whole, tmp_path / "whole.npz")
    packed = (tmp_path / "whole.npz").read_bytes()
    damaged = bytearray(packed)
    damaged[200:260] = bytes(60)
    with zipfile.ZipFile(tmp_path / "other.npz", "w") as other:
        other.writestr("note.txt", "no array")
    for name, content in {
        "absent.npz": None,
        "empty.npz": b"",
        "cut.npz": packed[: len(packed) // 2],
        "damaged.npz": bytes(damaged),
        "text.npz": b"<!DOCTYPE html>",
        "other.npz": None,
    }.items():
        if content is not None:
            (tmp_path / name).write_bytes(content)
        with pytest.raises(PixgradError, match=name) as caught:
            bp.load(bp.Sequential(bp.Linear(30, 30)), tmp_path / name)
        assert "\n" not in str(caught.value)
