"""Every layer's gradients against PyTorch (float64, 1e-10) and finite differences (1e-6)."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pixgrad import backprop as bp
from pixgrad.errors import PixgradError

torch = pytest.importorskip("torch")
nn = torch.nn

F64 = np.float64
few = settings(max_examples=25, deadline=None, derandomize=True)
many = settings(max_examples=100, deadline=None, derandomize=True)
batches, seeds = st.integers(1, 5), st.integers(0, 2**16)


def copy_parameters(ours: bp.Layer, theirs: nn.Module) -> None:
    with torch.no_grad():
        for name in ("weight", "bias"):
            if getattr(ours, name) is not None:
                getattr(theirs, name).copy_(torch.from_numpy(getattr(ours, name)))


def assert_like_torch(ours: bp.Layer, theirs: nn.Module, x: np.ndarray, seed: int = 0) -> None:
    """Output, input gradient and parameter gradients agree to 1e-10."""
    copy_parameters(ours, theirs)
    tx = torch.tensor(x, requires_grad=True)
    ty = theirs(tx)
    dy = np.random.default_rng(seed + 1).standard_normal(tuple(ty.shape))
    ty.backward(torch.from_numpy(dy))
    np.testing.assert_allclose(ours.forward(x), ty.detach().numpy(), rtol=0, atol=1e-10)
    np.testing.assert_allclose(ours.backward(dy), tx.grad.numpy(), rtol=0, atol=1e-10)
    for name in ours.grads:
        expected = getattr(theirs, name).grad.numpy()
        np.testing.assert_allclose(ours.grads[name], expected, rtol=0, atol=1e-10)


def assert_like_differences(layer: bp.Layer, x: np.ndarray) -> None:
    differences = bp.gradcheck(layer, x)
    assert "input" in differences
    assert max(differences.values()) < 1e-6, differences


@st.composite
def convolutions(draw, small: bool = False):
    """A Conv2d, PyTorch's twin and an input that it accepts."""
    limit = 2 if small else 3
    groups = draw(st.integers(1, limit))
    c, o = groups * draw(st.integers(1, limit)), groups * draw(st.integers(1, limit))
    pair = st.tuples(st.integers(1, limit), st.integers(1, limit))
    kernel, stride, dilation = draw(pair), draw(pair), draw(pair)
    padding = draw(st.tuples(st.integers(0, limit), st.integers(0, limit)))
    extent = [d * (k - 1) + 1 for d, k in zip(dilation, kernel, strict=True)]
    size = [
        max(1, e - 2 * p) + draw(st.integers(0, limit + 1))
        for e, p in zip(extent, padding, strict=True)
    ]
    seed = draw(seeds)
    ours = bp.Conv2d(c, o, kernel, stride, padding, dilation, groups, F64, rng=seed)
    theirs = nn.Conv2d(c, o, kernel, stride, padding, dilation, groups, dtype=torch.float64)
    x = np.random.default_rng(seed).standard_normal((draw(batches), c, *size))
    return ours, theirs, x


@many
@given(convolutions())
def test_conv2d_like_torch(case):
    assert_like_torch(*case)


@few
@given(convolutions(small=True))
def test_conv2d_like_differences(case):
    ours, _, x = case
    assert_like_differences(ours, x)


@few
@given(convolutions(small=True))
def test_conv2d_like_its_definition(case):
    ours, _, x = case
    y = ours.forward(x)
    np.testing.assert_allclose(y, bp.naive_forward(ours, x), rtol=0, atol=1e-12)
    dy = np.random.default_rng(1).standard_normal(y.shape)
    dx, dw, db = bp.naive_backward(ours, x, dy)
    np.testing.assert_allclose(ours.backward(dy), dx, rtol=0, atol=1e-12)
    np.testing.assert_allclose(ours.grads["weight"], dw, rtol=0, atol=1e-12)
    np.testing.assert_allclose(ours.grads["bias"], db, rtol=0, atol=1e-12)


def test_conv2d_gives_the_same_in_any_memory_layout():
    layer = bp.Conv2d(3, 4, 3, padding=1, dtype=F64)
    x = np.random.default_rng(0).standard_normal((2, 3, 6, 5))
    channels_last = np.ascontiguousarray(x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
    np.testing.assert_array_equal(layer.forward(x), layer.forward(channels_last))


def test_input_gradient_can_be_left_out():
    for layer, shape in ((bp.Conv2d(1, 2, 3), (2, 1, 5, 5)), (bp.Linear(4, 3), (2, 4))):
        x = np.ones(shape, np.float32)
        dy = np.ones_like(layer.forward(x))
        full = layer.backward(dy)
        weight = layer.grads["weight"].copy()
        layer.needs_input_grad = False
        assert full.shape == shape
        assert layer.backward(dy) is None
        np.testing.assert_array_equal(layer.grads["weight"], weight)


@st.composite
def poolings(draw):
    kernel = draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    stride = draw(st.none() | st.tuples(st.integers(1, 3), st.integers(1, 3)))
    padding = tuple(draw(st.integers(0, k // 2)) for k in kernel)
    size = [
        max(1, k - 2 * p) + draw(st.integers(0, 4)) for k, p in zip(kernel, padding, strict=True)
    ]
    x = np.random.default_rng(draw(seeds)).standard_normal(
        (draw(batches), draw(st.integers(1, 3)), *size)
    )
    return kernel, stride, padding, x


@many
@given(poolings())
def test_max_pooling_like_torch(case):
    *args, x = case
    assert_like_torch(bp.MaxPool2d(*args), nn.MaxPool2d(*args), x)


@many
@given(poolings())
def test_average_pooling_like_torch(case):
    *args, x = case
    assert_like_torch(bp.AvgPool2d(*args), nn.AvgPool2d(*args), x)


@few
@given(poolings())
def test_pooling_like_differences(case):
    *args, x = case
    assert_like_differences(bp.MaxPool2d(*args), x)
    assert_like_differences(bp.AvgPool2d(*args), x)


def test_max_pooling_gives_ties_to_the_first_as_torch_does():
    x = np.random.default_rng(0).integers(0, 2, (3, 2, 7, 7)).astype(F64)
    assert_like_torch(bp.MaxPool2d(3, 2), nn.MaxPool2d(3, 2), x)


@few
@given(batches, st.integers(1, 7), st.integers(1, 6), seeds)
def test_linear(n, features, outputs, seed):
    layer = bp.Linear(features, outputs, F64, rng=seed)
    x = np.random.default_rng(seed).standard_normal((n, features))
    assert_like_torch(layer, nn.Linear(features, outputs, dtype=torch.float64), x)
    assert_like_differences(layer, x)


def shaped(low: int = 2, high: int = 4):
    return st.tuples(batches, *[st.integers(1, 4)] * (low - 1)) | st.tuples(
        batches, *[st.integers(1, 4)] * (high - 1)
    )


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (bp.ReLU, nn.ReLU),
        (bp.Sigmoid, nn.Sigmoid),
        (bp.Tanh, nn.Tanh),
        (bp.Softmax, lambda: nn.Softmax(dim=1)),
        (bp.Flatten, nn.Flatten),
    ],
)
def test_activations_and_flatten(ours, theirs):
    @few
    @given(shaped(), seeds)
    def check(shape, seed):
        x = 3 * np.random.default_rng(seed).standard_normal(shape)
        assert_like_torch(ours(), theirs(), x)
        assert_like_differences(ours(), x)

    check()


def test_sigmoid_and_softmax_do_not_overflow():
    x = np.array([[-1000.0, 0.0, 1000.0]])
    with np.errstate(over="raise", invalid="raise"):
        assert bp.Sigmoid().forward(x).tolist() == [[0.0, 0.5, 1.0]]
        assert bp.Softmax().forward(x).tolist() == [[0.0, 0.0, 1.0]]
    tiny = bp.Sigmoid().forward(np.array([-40.0]))
    np.testing.assert_allclose(tiny, torch.sigmoid(torch.tensor([-40.0]).double()), rtol=1e-12)


@few
@given(batches, st.integers(1, 3), st.integers(1, 4), st.booleans(), seeds)
def test_batch_norm(n, c, size, training, seed):
    rng = np.random.default_rng(seed)
    ours, theirs = bp.BatchNorm2d(c, F64), nn.BatchNorm2d(c, dtype=torch.float64)
    ours.weight[:], ours.bias[:] = rng.standard_normal((2, c))
    warm, x = 2 + 3 * rng.standard_normal((2, n, c, size, size + 1))
    assert_like_torch(ours, theirs, warm)  # training; moves the running statistics
    for name in ours.buffers:
        expected = getattr(theirs, name).numpy()
        np.testing.assert_allclose(getattr(ours, name), expected, rtol=0, atol=1e-10)
    theirs.zero_grad()
    ours.train(training)
    theirs.train(training)
    assert_like_torch(ours, theirs, x)
    assert_like_differences(ours, x)


def test_dropout():
    layer = bp.Dropout(0.3, rng=5)
    x = np.random.default_rng(0).standard_normal((200, 50))
    y = layer.forward(x)
    kept = y != 0
    assert abs(kept.mean() - 0.7) < 0.02
    np.testing.assert_allclose(y[kept], x[kept] / 0.7)
    np.testing.assert_allclose(layer.backward(np.ones_like(x)), kept / 0.7)
    assert_like_differences(bp.Dropout(0.3), x[:3, :4])
    layer.train(False)
    assert layer.forward(x) is x
    assert layer.backward(x) is x


@few
@given(batches, st.integers(1, 3), seeds)
def test_reshape_and_sum(n, c, seed):
    x = np.random.default_rng(seed).standard_normal((n, 2 * c, 3))
    layer = bp.Reshape(3, -1, 2)
    y = layer.forward(x)
    np.testing.assert_array_equal(y, x.reshape(n, 3, -1, 2))
    np.testing.assert_array_equal(layer.backward(y), x)
    assert_like_differences(layer, x)
    total = bp.Sum()
    np.testing.assert_array_equal(total.forward(x, 2 * x), 3 * x)
    for term in total.backward(x):
        np.testing.assert_array_equal(term, x)


@few
@given(batches, st.integers(2, 6), seeds)
def test_losses_like_torch(n, k, seed):
    rng = np.random.default_rng(seed)
    prediction, target = 4 * rng.standard_normal((2, n, k))
    labels = rng.integers(0, k, n)
    for ours, theirs, goal in (
        (bp.CrossEntropy(), nn.CrossEntropyLoss(), labels),
        (bp.MSE(), nn.MSELoss(), target),
    ):
        tp = torch.tensor(prediction, requires_grad=True)
        tl = theirs(tp, torch.from_numpy(goal))
        tl.backward()
        assert ours.forward(prediction, goal) == pytest.approx(tl.item(), abs=1e-10)
        np.testing.assert_allclose(ours.backward(), tp.grad.numpy(), rtol=0, atol=1e-10)

        def value(loss=ours, goal=goal):
            return loss.forward(prediction, goal)

        ours.forward(prediction, goal)
        analytic = ours.backward()
        numerical = bp.numerical_gradient(value, prediction)
        np.testing.assert_allclose(analytic, numerical, rtol=0, atol=1e-6)


def test_cross_entropy_of_an_impossible_class_is_finite():
    loss = bp.CrossEntropy()
    value = loss.forward(np.array([[1000.0, -1000.0]]), np.array([1]))
    assert value == 2000
    assert loss.backward().tolist() == [[1.0, -1.0]]


def test_gradcheck_finds_a_wrong_gradient_and_refuses_float32():
    class Wrong(bp.Tanh):
        def backward(self, dy):
            return super().backward(dy) * 1.001

    x = np.random.default_rng(0).standard_normal((2, 3))
    assert bp.gradcheck(bp.Tanh(), x)["input"] < 1e-6 < bp.gradcheck(Wrong(), x)["input"]
    with pytest.raises(PixgradError, match="float64"):
        bp.gradcheck(bp.Linear(3, 2), x)


@pytest.mark.parametrize(
    ("layer", "shape", "expected"),
    [
        (
            bp.Conv2d(3, 8, 3),
            (2, 1, 9, 9),
            "Conv2d(3, 8, 3×3): ожидается вход (N, 3, H ≥ 3, W ≥ 3)",
        ),
        (bp.Conv2d(1, 8, 5), (2, 1, 4, 9), "H ≥ 5"),
        (bp.Linear(4, 2), (3, 5), "Linear(4, 2): ожидается вход (N, …, 4)"),
        (bp.BatchNorm2d(4), (3, 5, 2, 2), "BatchNorm2d(4): ожидается вход (N, 4, H, W)"),
        (bp.BatchNorm2d(4), (1, 4, 1, 1), "N·H·W > 1"),
        (bp.MaxPool2d(3), (1, 4, 2, 5), "MaxPool2d(3×3): ожидается вход (N, C, H ≥ 3, W ≥ 3)"),
        (bp.Reshape(7, 2), (3, 5, 2), "(7, 2)"),
    ],
)
def test_wrong_shapes_name_layer_expected_and_given(layer, shape, expected):
    with pytest.raises(bp.ShapeError) as caught:
        layer.forward(np.zeros(shape, np.float32))
    assert expected in str(caught.value)
    assert f"получен {shape}" in str(caught.value)


def test_channels_must_divide_into_groups():
    with pytest.raises(PixgradError, match="groups = 2"):
        bp.Conv2d(3, 4, 3, groups=2)
