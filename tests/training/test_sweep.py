"""The choice of a learning rate."""

from types import SimpleNamespace

import pytest

torch = pytest.importorskip("torch")

from pixgrad.training.sweep import best_rate  # noqa: E402

from pixgrad.errors import PixgradError  # noqa: E402  (needs torch)
from pixgrad.training.loop import HISTORY  # noqa: E402


def run(lr: float, *losses: float, status: str = "done") -> SimpleNamespace:
    """A run with these validation losses by epoch; nothing else counts."""
    rows = [
        [loss if name == "validation_loss" else 1 / (1 + epoch + lr) for name in HISTORY]
        for epoch, loss in enumerate(losses)
    ]
    config = SimpleNamespace(name=f"net-lr{lr:g}", lr=lr)
    return SimpleNamespace(config=config, status=status, message="шаг 3", history=rows)


def test_last_validation_loss_decides():
    assert best_rate([run(0.1, 2.0, 1.5), run(0.03, 1.0, 1.2), run(0.01, 0.5, 1.3)]) == 0.03


def test_diverged_runs_are_out_however_well_they_began():
    assert best_rate([run(0.1, 0.1, status="diverged"), run(0.01, 5.0)]) == 0.01
    with pytest.raises(PixgradError, match=r"net-lr0.1: разошлись .* шаг 3"):
        best_rate([run(0.1, status="diverged"), run(0.2, status="diverged")])
