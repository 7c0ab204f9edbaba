"""Batch normalisation step by step: every node against autograd, the whole against the layer."""

from __future__ import annotations

import numpy as np
import pytest

from pixgrad.backprop import BatchNorm2d
from pixgrad.backprop.batchnorm_steps import batchnorm_steps

torch = pytest.importorskip("torch")
rng = np.random.default_rng(2)
X, DY, EPS = rng.gamma(2.0, 1.0, 12), rng.standard_normal(12), 0.3


def test_every_gradient_equals_autograd():
    found = batchnorm_steps(X, 1.7, -0.4, DY, EPS)
    x, weight, bias = (
        torch.tensor(of, dtype=torch.float64, requires_grad=True) for of in (X, 1.7, -0.4)
    )
    mean = x.mean()
    centred = x - mean
    variance = centred.square().mean()
    inv_std = (variance + EPS).rsqrt()
    normalised = centred * inv_std
    y = weight * normalised + bias
    nodes = {"mean": mean, "centred": centred, "variance": variance, "inv_std": inv_std}
    nodes |= {"normalised": normalised, "y": y}
    for node in nodes.values():
        node.retain_grad()
    y.backward(torch.tensor(DY))
    for name, node in (nodes | {"x": x, "weight": weight, "bias": bias}).items():
        np.testing.assert_allclose(found.values[name], node.detach(), rtol=1e-12, err_msg=name)
        np.testing.assert_allclose(
            found.gradient(name), node.grad, rtol=1e-10, atol=1e-12, err_msg=name
        )


def test_the_layer_does_the_same():
    layer = BatchNorm2d(1, dtype=np.float64, eps=EPS)
    layer.weight[...], layer.bias[...] = 1.7, -0.4
    shape = (3, 1, 2, 2)
    y, dx = layer.forward(X.reshape(shape)), layer.backward(DY.reshape(shape))
    found = batchnorm_steps(X, 1.7, -0.4, DY, EPS)
    np.testing.assert_allclose(found.values["y"], y.ravel(), rtol=1e-12)
    np.testing.assert_allclose(found.gradient("x"), dx.ravel(), rtol=1e-10, atol=1e-12)
    assert found.gradient("weight") == pytest.approx(layer.grads["weight"][0])
    assert found.gradient("bias") == pytest.approx(layer.grads["bias"][0])
