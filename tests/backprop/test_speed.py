"""The stopwatch itself: known times give known ratios, and nothing global is left changed."""

import numpy as np
import pytest
import torch

from pixgrad.backprop import speed


def test_ratio_and_rate_of_known_times():
    timing = speed.Timing("net", np.array([[2.0, 1.0], [2.0, 4.0], [2.0, 2.0]]))
    assert timing.ratio == pytest.approx((0.75, 1.0, 1.5))  # of 2, 1/2 and 1
    assert timing.images_per_second == speed.BATCH / 2.0


def test_turns_are_taken_and_the_warm_up_is_dropped():
    calls = []
    seconds = speed._take_turns(lambda: calls.append("a"), lambda: calls.append("b"), rounds=3)
    assert calls == ["a", "b"] * 4
    assert seconds.shape == (3, 2)
    assert (seconds >= 0).all()


def test_pytorch_keeps_its_threads():
    before = torch.get_num_threads()
    names = [timing.name for timing in speed.against_torch(rounds=1, threads=before + 1)]
    assert names == list(speed.NETWORKS)
    assert torch.get_num_threads() == before
