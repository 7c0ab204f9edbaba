"""The chain rule on a graph of numbers, in the fewest lines that do it.

The layers of this package do the same with arrays, a vector-Jacobian product for a node.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from graphlib import TopologicalSorter


class Value:
    """A number that remembers from what it was computed.

    Attributes
    ----------
    data : the number.
    parents : pairs of an input and the derivative of this number by it.
    grad : derivative of the number whose ``backward`` was called by this one.

    Examples
    --------
    >>> x, y = Value(2.0), Value(3.0)
    >>> z = x * y + x
    >>> z.backward()
    >>> z.data, x.grad, y.grad
    (8.0, 4.0, 2.0)
    """

    def __init__(self, data: float, parents: Sequence[tuple[Value, float]] = ()) -> None:
        self.data, self.parents, self.grad = data, parents, 0.0

    def __add__(self, other: Value | float) -> Value:
        other = _value(other)
        return Value(self.data + other.data, [(self, 1.0), (other, 1.0)])

    def __mul__(self, other: Value | float) -> Value:
        other = _value(other)
        return Value(self.data * other.data, [(self, other.data), (other, self.data)])

    __radd__, __rmul__ = __add__, __mul__

    def sigmoid(self) -> Value:
        p = (1 + math.tanh(self.data / 2)) / 2  # no exponential that overflows
        return Value(p, [(self, p * (1 - p))])

    def backward(self) -> None:
        """Fill ``grad`` of every number that this one was computed from."""
        order = self.order()
        for node in order:
            node.grad = 0.0
        self.grad = 1.0
        for node in reversed(order):
            for parent, slope in node.parents:
                parent.grad += slope * node.grad

    def order(self) -> list[Value]:
        """All numbers of the graph, each after those that it was computed from."""
        inputs, waiting = {}, [self]
        while waiting:
            node = waiting.pop()
            if node not in inputs:
                inputs[node] = [parent for parent, _ in node.parents]
                waiting += inputs[node]
        return list(TopologicalSorter(inputs).static_order())


def _value(number: Value | float) -> Value:
    return number if isinstance(number, Value) else Value(number)
