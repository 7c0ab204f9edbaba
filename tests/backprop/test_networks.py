"""Containers, storage and the hunt for the first non-finite value."""

from __future__ import annotations

import numpy as np
import pytest

from pixgrad import backprop as bp
from pixgrad.errors import PixgradError

torch = pytest.importorskip("torch")
nn = torch.nn


def residual_net(rng=0):
    """Stem, residual block with batch norm and a strided one with a projection."""
    rng = np.random.default_rng(rng)

    def conv(*args, **kwargs):
        return bp.Conv2d(*args, **kwargs, dtype=np.float64, rng=rng)

    def norm(c):
        return bp.BatchNorm2d(c, np.float64)

    body = bp.Sequential(conv(4, 4, 3, padding=1), norm(4), bp.ReLU(), conv(4, 4, 3, padding=1))
    wide = bp.Sequential(conv(4, 6, 3, stride=2, padding=1), bp.ReLU(), conv(6, 6, 3, padding=1))
    return bp.Sequential(
        conv(2, 4, 3),
        bp.Residual(body),
        bp.ReLU(),
        bp.Residual(wide, shortcut=conv(4, 6, 1, stride=2)),
        bp.Tanh(),
        bp.Flatten(),
        bp.Linear(6 * 3 * 3, 5, np.float64, rng),
    )


class TorchResidual(nn.Module):
    def __init__(self, body, shortcut=None):
        super().__init__()
        self.body, self.shortcut = body, shortcut

    def forward(self, x):
        return self.body(x) + (x if self.shortcut is None else self.shortcut(x))


def torch_twin():
    body = nn.Sequential(
        nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 4, 3, padding=1)
    )
    wide = nn.Sequential(
        nn.Conv2d(4, 6, 3, stride=2, padding=1), nn.ReLU(), nn.Conv2d(6, 6, 3, padding=1)
    )
    return nn.Sequential(
        nn.Conv2d(2, 4, 3),
        TorchResidual(body),
        nn.ReLU(),
        TorchResidual(wide, nn.Conv2d(4, 6, 1, stride=2)),
        nn.Tanh(),
        nn.Flatten(),
        nn.Linear(54, 5),
    ).double()


def test_residual_network_like_torch():
    ours, theirs = residual_net(), torch_twin()
    # The names are torch's own, so its state can be read by name.
    with torch.no_grad():
        for name, parameter in theirs.named_parameters():
            parameter.copy_(torch.from_numpy(ours.parameters()[name]))
    rng = np.random.default_rng(0)
    x, labels = rng.standard_normal((4, 2, 8, 8)), rng.integers(0, 5, 4)
    tx = torch.tensor(x, requires_grad=True)
    expected = nn.functional.cross_entropy(theirs(tx), torch.from_numpy(labels))
    expected.backward()
    loss = bp.CrossEntropy()
    assert loss.forward(ours.forward(x), labels) == pytest.approx(expected.item(), abs=1e-12)
    np.testing.assert_allclose(ours.backward(loss.backward()), tx.grad.numpy(), atol=1e-10)
    for name, parameter in theirs.named_parameters():
        np.testing.assert_allclose(ours.gradients()[name], parameter.grad.numpy(), atol=1e-10)


def test_residual_network_like_differences():
    x = np.random.default_rng(0).standard_normal((2, 2, 8, 8))
    differences = bp.gradcheck(residual_net(), x)
    assert len(differences) == 1 + 2 * 8
    assert max(differences.values()) < 1e-6


@pytest.mark.parametrize(
    ("model", "sizes"),
    [
        (bp.lenet(), (1, 6, 16, 120, 10)),
        (bp.lenet((20, 50, 500)), (1, 20, 50, 500, 10)),
        (bp.sigmoid_net(), (1, 6, 16, 120, 10)),
    ],
)
def test_parameter_counts_are_the_formula(model, sizes):
    i, a, b, c, k = sizes
    expected = a * (25 * i + 1) + b * (25 * a + 1) + c * (16 * b + 1) + k * (c + 1)
    assert sum(p.size for p in model.parameters().values()) == expected
    assert {p.dtype for p in model.parameters().values()} == {np.dtype(np.float32)}


def test_save_and_load(tmp_path):
    model = residual_net(rng=0)
    x = np.random.default_rng(0).standard_normal((2, 2, 8, 8))
    model.forward(x)  # moves the running statistics
    model.train(False)
    bp.save(model, tmp_path / "net.npz")
    other = residual_net(rng=1)
    other.train(False)
    before = other.parameters()["0.weight"]
    assert not np.array_equal(other.forward(x), model.forward(x))
    bp.load(other, tmp_path / "net.npz")
    np.testing.assert_array_equal(other.forward(x), model.forward(x))
    assert other.parameters()["0.weight"] is before  # in place: an optimiser keeps its arrays
    assert [path.name for path in tmp_path.iterdir()] == ["net.npz"]


def test_load_says_what_does_not_fit(tmp_path):
    bp.save(bp.lenet(), tmp_path / "net.npz")
    with pytest.raises(PixgradError, match=r"0\.weight.*\(20, 1, 5, 5\).*\(6, 1, 5, 5\)"):
        bp.load(bp.lenet((20, 50, 500)), tmp_path / "net.npz")
    with pytest.raises(PixgradError, match=r"9\.weight"):
        bp.load(bp.sigmoid_net(), tmp_path / "net.npz")


def test_shape_error_says_where_the_layer_is():
    with pytest.raises(bp.ShapeError, match=r"слой 3\.shortcut: Conv2d\(4, 6, 1×1\).*\(2, 3, "):
        residual_net().layers[3].forward(np.zeros((2, 3, 8, 8)))
    with pytest.raises(bp.ShapeError, match=r"слой 1\.body\.0: Conv2d\(4, 4, 3×3\)"):
        residual_net().layers[1].forward(np.zeros((2, 3, 8, 8)))


def test_first_nonfinite_layer_is_named():
    x, labels = np.zeros((2, 1, 28, 28), np.float32), np.array([0, 1])
    loss = bp.CrossEntropy()

    broken = bp.lenet()
    broken.layers[3].weight[0, 0, 0, 0] = np.inf  # 0 · ∞ = NaN there; everything after is NaN too
    with pytest.raises(bp.NonFiniteError, match=r"3: Conv2d\(6, 16, 5×5\), прямой"):
        bp.raise_first_nonfinite(broken, loss, x, labels)

    overflowing = bp.lenet()
    original = overflowing.layers[7].backward
    overflowing.layers[7].backward = lambda dy: original(dy) * np.float32(np.inf)
    with pytest.raises(bp.NonFiniteError, match=r"7: Linear\(256, 120\), обратный"):
        bp.raise_first_nonfinite(overflowing, loss, x, labels)

    with pytest.raises(bp.NonFiniteError, match="входных данных"):
        bp.raise_first_nonfinite(bp.lenet(), loss, np.full_like(x, np.nan), labels)


def test_first_nonfinite_layer_inside_a_residual_block_is_named():
    model = residual_net()
    model.layers[3].body.layers[2].bias[1] = np.nan
    with pytest.raises(bp.NonFiniteError, match=r"3\.body\.2: Conv2d\(6, 6, 3×3\), прямой"):
        bp.raise_first_nonfinite(
            model, bp.CrossEntropy(), np.zeros((2, 2, 8, 8)), np.zeros(2, np.int64)
        )
    assert "forward" not in vars(model.layers[0])  # the watchers are gone
