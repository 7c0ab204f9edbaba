"""Experiments: one module each, with an ``EXPERIMENT`` (see :mod:`pixgrad.experiments.running`)."""

from __future__ import annotations

import importlib
import pkgutil
from typing import TYPE_CHECKING

from pixgrad.errors import PixgradError

if TYPE_CHECKING:
    from pixgrad.experiments.running.experiment import Experiment


def names() -> list[str]:
    """Names of all experiments."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__) if not module.ispkg)


def experiment(name: str) -> Experiment:
    """The experiment of that name."""
    if name not in names():
        raise PixgradError(f"нет опыта «{name}»; есть: {', '.join(names())}")
    return importlib.import_module(f"{__name__}.{name}").EXPERIMENT
