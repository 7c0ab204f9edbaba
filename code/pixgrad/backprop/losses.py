"""Loss functions: the mean over the batch, and its gradient by the network's output."""

import numpy as np

from pixgrad.backprop.inputs import ShapeError, floating
from pixgrad.errors import PixgradError


class CrossEntropy:
    """Mean of -ln softmax(logits)[label]: softmax and logarithm fused.

    The fused gradient is (softmax(logits) - one_hot(label)) / N: no division by a probability that
    may be zero.

    Examples
    --------
    >>> loss = CrossEntropy()
    >>> round(loss.forward(np.array([[0.0, 0.0]]), np.array([1])), 4)
    0.6931
    >>> loss.backward()
    array([[ 0.5, -0.5]])
    """

    def forward(self, logits: np.ndarray, labels: np.ndarray) -> float:
        """
        Parameters
        ----------
        logits : (N, K).
        labels : (N,) integers in 0…K-1.
        """
        logits, labels = floating(logits), np.asarray(labels)
        if logits.ndim != 2 or labels.shape != logits.shape[:1]:
            raise ShapeError(
                f"CrossEntropy: ожидаются логиты (N, K) и метки (N,), "
                f"получены {logits.shape} и {labels.shape}",
                f"CrossEntropy: expected logits (N, K) and labels (N,), "
                f"got {logits.shape} and {labels.shape}",
            )
        if not len(labels):
            raise ShapeError(
                "CrossEntropy: пакет пуст",
                "CrossEntropy: the batch is empty",
            )
        if labels.dtype.kind not in "iu":
            raise PixgradError(
                f"CrossEntropy: метки типа {labels.dtype}, нужны целые числа",
                f"CrossEntropy: labels of type {labels.dtype}, not whole numbers",
            )
        wrong = labels[(labels < 0) | (labels >= logits.shape[1])]
        if len(wrong):
            raise PixgradError(
                f"CrossEntropy: метка — целое число от 0 до {logits.shape[1] - 1}, "
                f"получена {wrong[0]}",
                f"CrossEntropy: a label is a whole number from 0 to {logits.shape[1] - 1}, "
                f"not {wrong[0]}",
            )
        shifted = logits - logits.max(axis=1, keepdims=True)
        e = np.exp(shifted)
        total = e.sum(axis=1, keepdims=True)
        self._probabilities, self._labels = e / total, labels
        rows = np.arange(len(labels))
        return float((np.log(total[:, 0]) - shifted[rows, labels]).mean())

    def backward(self) -> np.ndarray:
        """Gradient by the logits, (N, K)."""
        _after_forward(self)
        gradient = self._probabilities.copy()
        gradient[np.arange(len(self._labels)), self._labels] -= 1
        gradient /= len(self._labels)
        return gradient


class MSE:
    """Mean of (prediction - target)² over all elements.

    Examples
    --------
    >>> loss = MSE()
    >>> loss.forward(np.array([[1.0, 5.0]]), np.array([[1.0, 3.0]]))
    2.0
    >>> loss.backward()
    array([[0., 2.]])
    """

    def forward(self, prediction: np.ndarray, target: np.ndarray) -> float:
        """Both of one shape."""
        prediction, target = floating(prediction), floating(target)
        if prediction.shape != target.shape or not prediction.size:
            raise ShapeError(
                f"MSE: ожидается цель {prediction.shape}, как у предсказания, "
                f"получена {target.shape}",
                f"MSE: expected a target {prediction.shape}, as of the prediction, "
                f"got {target.shape}",
            )
        self._difference = prediction - target
        return float(np.mean(self._difference**2))

    def backward(self) -> np.ndarray:
        """Gradient by the prediction, of its shape."""
        _after_forward(self)
        return self._difference * self._difference.dtype.type(2 / self._difference.size)


def _after_forward(loss: CrossEntropy | MSE) -> None:
    if not vars(loss):
        name = type(loss).__name__
        raise PixgradError(
            f"{name}: сначала вызовите forward, потом backward",
            f"{name}: call forward first, then backward",
        )
