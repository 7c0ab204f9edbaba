"""Whoever does the work, and in whatever order, the results are the same; stages overlap."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest
import torch

from pixgrad import nets
from pixgrad.compression import parallel, workers


def double(x: int) -> int:
    return 2 * x


def add_one(x: int) -> int:
    return x + 1


@pytest.mark.parametrize("count", [0, 1, 7])
def test_results_come_in_order(count):
    expected = [2 * x + 1 for x in range(count)]
    both = [double, add_one]
    assert parallel.in_turn(both, range(count)) == expected
    assert parallel.in_a_row(both, range(count)) == expected
    assert parallel.shared_out(lambda x: add_one(double(x)), range(count), 2) == expected
    assert [add_one(x) for x in parallel.ahead(double, range(count))] == expected


def test_stages_and_preparation_overlap():
    """While the second stage has a batch, the first works on the next one."""
    working, together = set(), []

    def stage(name: str):
        def work(x: int) -> int:
            working.add(name)
            time.sleep(0.02)
            together.append(len(working))
            working.discard(name)
            return x

        return work

    parallel.in_a_row([stage("first"), stage("second")], range(6))
    assert max(together) == 2
    together.clear()
    for x in parallel.ahead(stage("prepare"), range(6)):
        stage("answer")(x)
    assert max(together) == 2
    together.clear()
    parallel.in_turn([stage("first"), stage("second")], range(6))
    assert max(together) == 1


def test_threads_end():
    before = threading.active_count()
    parallel.in_a_row([double, add_one], range(3))
    assert list(parallel.ahead(double, range(3))) == [0, 2, 4]
    assert threading.active_count() == before


def test_halves_of_a_network_do_its_work():
    net = nets.build("resnet-20", 10, init="he").eval()
    x = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    first, second = workers.halves(net)
    expected = workers.answer(net, x)
    torch.testing.assert_close(workers.answer(second, workers.answer(first, x)), expected)


def test_photos():
    files = workers.encoded(3, seed=1)
    assert files == workers.encoded(3, seed=1)
    found = workers.decoded(files, 32)
    assert found.shape == (3, 3, 32, 32)
    assert 0 <= found.min() < found.max() <= 1


@pytest.mark.slow
def test_processes_answer_as_this_one():
    net = nets.build("resnet-8", 4, init="he").eval()
    x = np.random.default_rng(1).standard_normal((2, 3, 8, 8)).astype(np.float32)
    pool = workers.processes(net, x)
    found = list(pool.map(workers.answer_there, [x, 2 * x]))
    pool.shutdown()
    for given, logits in zip((x, 2 * x), found, strict=True):
        expected = workers.answer(net, torch.from_numpy(given))
        np.testing.assert_allclose(logits, expected, rtol=1e-4, atol=1e-5)
