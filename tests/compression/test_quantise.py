"""The grid against ONNX Runtime's own rounding; whole networks in integers; files that repeat."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper

from pixgrad import nets
from pixgrad.compression import quantise, runtime
from pixgrad.compression.fold import folded
from pixgrad.errors import PixgradError


def rounded_by_onnx_runtime(x: np.ndarray, grid: quantise.Grid) -> np.ndarray:
    """QuantizeLinear of ONNX, executed."""
    kind = TensorProto.UINT8 if grid.low == 0 else TensorProto.INT8
    graph = helper.make_graph(
        [helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"])],
        "one",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, x.shape)],
        [helper.make_tensor_value_info("q", kind, x.shape)],
        [
            helper.make_tensor("s", TensorProto.FLOAT, [], [grid.scale]),
            helper.make_tensor("z", kind, [], [grid.zero_point]),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    return session.run(None, {"x": x})[0]


@pytest.mark.parametrize(
    "grid",
    [
        quantise.asymmetric(-1.5, 2.25),
        quantise.asymmetric(0.1, 3.0),
        quantise.symmetric(0.7),
    ],
)
def test_integers_are_those_of_onnx_runtime(grid):
    x = np.random.default_rng(6).uniform(-3, 4, 1000).astype(np.float32)
    expected = rounded_by_onnx_runtime(x, grid).astype(int)
    inside = expected >= grid.low  # symmetric weights leave −128 out
    np.testing.assert_array_equal(grid.quantise(x)[inside], expected[inside])
    assert (grid.quantise(x)[~inside] == grid.low).all()


@given(st.floats(-100, 100), st.floats(-100, 100), st.integers(2, 8))
def test_error_is_half_a_step_and_zero_is_exact(first, second, bits):
    low, high = min(first, second), max(first, second)
    if max(high, 0) - min(low, 0) < 1e-3:
        return
    for grid, ends in (
        (quantise.asymmetric(low, high, bits), (min(low, 0), max(high, 0))),
        (quantise.symmetric(max(abs(low), abs(high)), bits), (low, high)),
    ):
        x = np.linspace(*ends, 50)
        error = np.abs(grid.dequantise(grid.quantise(x)) - x)
        # the zero point is rounded too, so an end of the range may lose half a step more
        assert error.max() <= grid.scale * (1 + 1e-9)
        assert grid.dequantise(grid.quantise(np.zeros(1)))[0] == 0
        assert len({*grid.quantise(x)}) <= 2**bits


@pytest.fixture(scope="module")
def network() -> torch.nn.Module:
    net = nets.build("resnet-8", 10, init="he", generator=torch.Generator().manual_seed(1))
    with torch.no_grad():  # statistics of the normalisations
        for _ in range(20):
            net(torch.randn(64, 3, 16, 16, generator=torch.Generator().manual_seed(2)))
    return folded(net)


@pytest.fixture(scope="module")
def model(network) -> bytes:
    return runtime.export(network, 16)


IMAGES = np.random.default_rng(7).standard_normal((40, 3, 16, 16)).astype(np.float32)


def answers(network) -> np.ndarray:
    with torch.no_grad():
        return network(torch.from_numpy(IMAGES)).numpy()


def test_onnx_runtime_gives_the_same_logits_for_any_number_of_images(network, model):
    session, expected = runtime.Session(model), answers(network)
    for count in (1, 40):
        np.testing.assert_allclose(session(IMAGES[:count]), expected[:count], atol=1e-4)


def test_static_quantisation(network, model):
    """Files repeat byte for byte, weights are integers, and the answers are near."""
    how = quantise.Static()
    file = quantise.static(model, [IMAGES], how)
    assert file == quantise.static(model, [IMAGES], how)
    expected, found = answers(network), runtime.Session(file)(IMAGES)
    assert 0 < np.abs(found - expected).max() < 0.25 * np.abs(expected).max()
    of_type = [one.data_type for one in onnx.load_from_string(file).graph.initializer]
    assert of_type.count(TensorProto.INT8) >= len(nets.weighted_layers(network))
    assert TensorProto.UINT8 in of_type
    assert len(file) < 0.5 * len(model)


@pytest.mark.slow
@pytest.mark.parametrize(
    "how", [quantise.Static(signed=True), quantise.Static(per_channel=False, method="percentile")]
)
def test_other_ways_of_static_quantisation(network, model, how, capsys):
    file = quantise.static(model, [IMAGES, IMAGES], how)
    assert capsys.readouterr().out == ""
    expected, found = answers(network), runtime.Session(file)(IMAGES)
    assert 0 < np.abs(found - expected).max() < 0.4 * np.abs(expected).max()


def test_dynamic_quantisation_rounds_the_linear_layers_alone():
    net = nets.build("simple-cnn", 10, generator=torch.Generator().manual_seed(1)).eval()
    model = runtime.export(net, 16)
    file = quantise.dynamic(model)
    expected, found = answers(net), runtime.Session(file)(IMAGES)
    assert 0 < np.abs(found - expected).max() < 0.05 * np.abs(expected).max()
    linear = sum(of.weight.numel() for of in (net.hidden, net.fc))
    integers = [
        int(np.prod(one.dims))
        for one in onnx.load_from_string(file).graph.initializer
        if one.data_type == TensorProto.INT8
    ]
    assert linear <= sum(integers) <= linear + 200  # and zero points
    assert len(model) - len(file) == pytest.approx(3 * linear, rel=0.02)


@pytest.mark.slow
def test_exported_resnet_18_gives_the_same_logits():
    net = nets.build("resnet-18", 1000, init="he", generator=torch.Generator().manual_seed(1))
    net.eval()
    x = torch.randn(4, 3, 96, 96, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        expected = net(x).numpy()
    found = runtime.Session(runtime.export(net, 96))(x.numpy())
    assert np.abs(found - expected).max() <= 1e-4
    np.testing.assert_array_equal(found.argmax(1), expected.argmax(1))


def test_grids_of_nothing_but_zeros_and_bits_that_cannot_be():
    for grid in (quantise.asymmetric(0.0, 0.0), quantise.symmetric(0.0)):
        assert grid.dequantise(grid.quantise(np.zeros(3))).tolist() == [0, 0, 0]
    for make in (quantise.symmetric, lambda bits: quantise.asymmetric(0, 1, bits)):
        with pytest.raises(PixgradError, match="bits="):
            make(0) if make is not quantise.symmetric else make(1.0, 1)
