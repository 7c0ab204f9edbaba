"""The scalar engine against autograd, on graphs whose nodes are used many times."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pixgrad.backprop import Value

torch = pytest.importorskip("torch")


@given(seed=st.integers(0, 2**32 - 1), inputs=st.integers(1, 5), operations=st.integers(1, 40))
def test_gradients_equal_autograd(seed, inputs, operations):
    chance = random.Random(seed)
    ours = [Value(chance.uniform(-2, 2)) for _ in range(inputs)]
    theirs = [torch.tensor(one.data, dtype=torch.float64, requires_grad=True) for one in ours]
    leaves = list(zip(ours, theirs, strict=True))
    rules = (
        lambda x, y, c, sigmoid: x + y,
        lambda x, y, c, sigmoid: x * y * 0.5,
        lambda x, y, c, sigmoid: sigmoid(x),
        lambda x, y, c, sigmoid: c * x + c,
    )
    for _ in range(operations):
        rule, number = chance.choice(rules), chance.uniform(-1, 1)
        a, b = (chance.randrange(len(ours)) for _ in range(2))
        ours.append(rule(ours[a], ours[b], number, Value.sigmoid))
        theirs.append(rule(theirs[a], theirs[b], number, torch.sigmoid))
    ours[-1].backward()
    theirs[-1].backward()
    assert ours[-1].data == pytest.approx(theirs[-1].item(), rel=1e-12, abs=1e-300)
    for value, tensor in leaves:
        expected = 0.0 if tensor.grad is None else tensor.grad.item()
        unused = value not in ours[-1].order()
        assert (0.0 if unused else value.grad) == pytest.approx(expected, rel=1e-10, abs=1e-14)


def test_a_second_pass_starts_anew():
    a = Value(3.0)
    square = a * a
    for _ in range(2):
        square.backward()
        assert a.grad == 6.0


def test_a_long_chain_does_not_exhaust_the_stack():
    total = Value(0.0)
    first = total
    for _ in range(5000):
        total = total + 1.0
    total.backward()
    assert (total.data, first.grad) == (5000.0, 1.0)
