"""Sizes and costs of convolutions against torch, and equivariance against the definition."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from pixgrad.nets.arithmetic import multiply_adds, output_size, parameters
from pixgrad.nets.equivariance import shift_error


@settings(max_examples=30, deadline=None)
@given(
    size=st.integers(7, 20),
    kernel=st.integers(1, 4),
    stride=st.integers(1, 3),
    padding=st.integers(0, 2),
    dilation=st.integers(1, 2),
    groups=st.sampled_from([1, 2, 4]),
    bias=st.booleans(),
)
def test_formulas_against_torch(size, kernel, stride, padding, dilation, groups, bias):
    layer = nn.Conv2d(4, 8, kernel, stride, padding, dilation, groups, bias)
    with FlopCounterMode(display=False) as counted:
        made = layer(torch.zeros(1, 4, size, size))
    side = output_size(size, kernel, stride, padding, dilation)
    assert made.shape == (1, 8, side, side)
    assert parameters(4, 8, kernel, groups, bias) == sum(w.numel() for w in layer.parameters())
    ours = multiply_adds(4, 8, kernel, side**2, groups)
    # The counter does not know of groups: it counts every input channel for every kernel.
    assert counted.get_total_flops() in (2 * ours, 2 * ours * groups)


def test_the_problem_of_the_lecture():
    assert parameters(64, 1, 3) == 577
    assert parameters(64, 128, 3) == 73_856


@pytest.mark.parametrize("shift", [1, 2, 3, 4])
def test_shift_error_of_a_circular_convolution(shift):
    torch.manual_seed(0)
    x = torch.randn(2, 3, 12, 12)
    same = nn.Conv2d(3, 4, 3, padding=1, padding_mode="circular")
    halved = nn.Conv2d(3, 4, 3, stride=2, padding=1, padding_mode="circular")
    assert shift_error(same, x, shift) < 1e-5
    error = shift_error(halved, x, shift)
    assert error < 1e-5 if shift % 2 == 0 else error > 0.1


def test_zero_padding_spoils_the_edges_alone():
    torch.manual_seed(0)
    x = torch.randn(2, 3, 12, 12)
    layer = nn.Conv2d(3, 4, 5, padding=2)
    assert shift_error(layer, x, 1) > 0.1
    assert shift_error(layer, x, 1, margin=2) > 0.01  # cells that came from the other edge
    assert shift_error(layer, x, 1, margin=3) < 1e-5
