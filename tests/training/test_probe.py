"""The probe against gradients taken by hand in float64, and the promise not to disturb training."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from tiny_training import CLASSES, build, differences, images, settings

from pixgrad import nets
from pixgrad.training.loop import fit
from pixgrad.training.probe import COLUMNS, GradientProbe, norm

DATA = images()
X = DATA.normalised(DATA.images["train"])
Y = DATA.labels["train"]


def seeded(name: str = "resnet-8", **options) -> torch.nn.Module:
    return build(torch.Generator().manual_seed(3), name, **options)


def measured(net: torch.nn.Module, lr: float = 0.1) -> dict[str, np.ndarray]:
    """Columns of the probe's table for one step of plain gradient descent, without momentum."""
    probe = GradientProbe(net)
    optimiser = torch.optim.SGD(net.parameters(), lr=lr)
    with probe.watch(epoch=1, step=0):
        torch.nn.functional.cross_entropy(net(X), Y).backward()
        optimiser.step()
    return dict(zip(COLUMNS, np.array(probe.rows).T, strict=True))


def by_hand(net: torch.nn.Module) -> dict[str, list[float]]:
    """The same norms in float64 by torch.autograd.grad with respect to weights and outputs."""
    net = copy.deepcopy(net).double()
    layers = [layer for _, layer in nets.weighted_layers(net)]
    outputs = {}
    for layer in layers:
        layer.register_forward_hook(lambda layer, inputs, z: outputs.__setitem__(layer, z))
    loss = -net(X.double()).log_softmax(1)[torch.arange(len(Y)), Y].mean()
    weights, signals = [layer.weight for layer in layers], [outputs[layer] for layer in layers]
    gradients = torch.autograd.grad(loss, weights + signals)
    arrays = [tensor.detach().numpy() for tensor in (*weights, *signals, *gradients)]
    w, z, dw, dz = (arrays[i * len(layers) : (i + 1) * len(layers)] for i in range(4))

    def frobenius(some):
        return np.array([np.sqrt(np.sum(np.square(one))) for one in some])

    def rms(some):
        return [np.sqrt(np.mean(np.square(one))) for one in some]

    return {
        "layer": 1 + np.arange(len(layers)),
        "grad_norm": frobenius(dw),
        "grad_rms": rms(dw),
        "weight_norm": frobenius(w),
        "scale_free": frobenius(w) * frobenius(dw),
        "activation_rms": rms(z),
        "activation_grad_norm": frobenius(dz),
    }


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("resnet-8", {}),
        ("plain-8", {"batch_norm": False}),
        ("plain-20", {"batch_norm": False, "activation": "sigmoid"}),
    ],
)
def test_norms_by_hand(name, options):
    net = seeded(name, **options)
    expected, found = by_hand(net), measured(net)
    for column, values in expected.items():
        np.testing.assert_allclose(found[column], values, rtol=2e-4, err_msg=column)


def test_tiny_gradients_do_not_underflow():
    """Plain-56 without normalisation, torch's own initial weights: gradients near 1e-20."""
    net = nets.build(
        "plain-56", CLASSES, batch_norm=False, generator=torch.Generator().manual_seed(0)
    )
    expected, found = by_hand(net), measured(net)
    early = found["grad_norm"][:10]
    assert early.max() < 1e-15
    squares = [(layer.weight.grad**2).sum().item() for _, layer in nets.weighted_layers(net)[:10]]
    assert min(squares) == 0  # in float32
    np.testing.assert_allclose(early, expected["grad_norm"][:10], rtol=1e-3)


def test_scale_free_does_not_see_the_scale_before_a_normalisation():
    net = seeded()
    scaled = copy.deepcopy(net)
    with torch.no_grad():
        scaled.layer1[0].conv1.weight.mul_(10)
    one, ten = measured(net), measured(scaled)
    assert ten["weight_norm"][1] == pytest.approx(10 * one["weight_norm"][1])
    assert ten["grad_norm"][1] == pytest.approx(one["grad_norm"][1] / 10, rel=1e-3)
    assert ten["scale_free"][1] == pytest.approx(one["scale_free"][1], rel=1e-3)


@pytest.mark.parametrize("optimiser", [torch.optim.SGD, torch.optim.Adam])
def test_update_ratio_from_the_weights_before_and_after(optimiser):
    net = seeded()
    probe, steps = GradientProbe(net, every=1), optimiser(net.parameters(), lr=0.01)
    weights = [layer.weight for _, layer in nets.weighted_layers(net)]
    for step in range(2):
        before = [weight.detach().double().numpy().copy() for weight in weights]
        with probe.watch(epoch=1, step=step):
            steps.zero_grad()
            torch.nn.functional.cross_entropy(net(X), Y).backward()
            steps.step()
        for row, old, new in zip(probe.rows[-8:], before, weights, strict=True):
            change = np.linalg.norm(new.detach().double().numpy() - old) / np.linalg.norm(old)
            assert row[COLUMNS.index("update_ratio")] == pytest.approx(change, rel=1e-9)
    if optimiser is torch.optim.SGD:  # w - old = -lr g
        found = dict(zip(COLUMNS, np.array(probe.rows).T, strict=True))
        expected = 0.01 * found["grad_norm"] / found["weight_norm"]
        np.testing.assert_allclose(found["update_ratio"], expected, rtol=1e-3)


def test_training_keeps_every_bit_with_and_without_the_probe(tmp_path):
    plain = fit(settings(probe_every=None), build, DATA, tmp_path / "plain")
    for every in (1, 10):
        probed = fit(settings(probe_every=every), build, DATA, tmp_path / f"probed{every}")
        assert differences(plain, probed) == ["config", "probed"]
        steps = [row[COLUMNS.index("step")] for row in probed.probed[::8]]
        assert steps == list(range(0, 24, every))
        epochs = [row[COLUMNS.index("epoch")] for row in probed.probed[::8]]
        assert epochs == [1 + step // 6 for step in steps]
        layers = [row[COLUMNS.index("layer")] for row in probed.probed[:8]]
        assert layers == list(range(1, 9))


def test_a_step_that_raises_leaves_no_rows_and_no_hooks():
    net = seeded()
    probe = GradientProbe(net)
    with pytest.raises(KeyboardInterrupt), probe.watch(epoch=1, step=0):
        net(X).sum().backward()
        raise KeyboardInterrupt
    assert probe.rows == []
    assert not any(layer._forward_hooks for _, layer in nets.weighted_layers(net))
    with probe.watch(epoch=1, step=7):
        assert not any(layer._forward_hooks for _, layer in nets.weighted_layers(net))
    assert probe.rows == []


def test_layers_are_named_in_the_order_of_the_signal():
    probe = GradientProbe(seeded())
    assert [name for name, _ in probe.layers] == [
        "conv1",
        *[f"layer{n}.0.conv{m}" for n in (1, 2, 3) for m in (1, 2)],
        "fc",
    ]


def test_norm_sums_squares_in_float64():
    tiny = torch.full((3, 4), 1e-25)
    assert norm(tiny) == pytest.approx(np.sqrt(12) * float(tiny[0, 0]), rel=1e-12)
    assert norm(torch.full((4,), 1e25)) == pytest.approx(2e25, rel=1e-6)
    assert norm(torch.tensor([3.0, 4.0], dtype=torch.bfloat16)) == 5
