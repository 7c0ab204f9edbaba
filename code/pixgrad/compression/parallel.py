"""Several workers at a network: the batches shared out, its stages in a row, the next batch ahead.

Threads are enough where the work leaves Python: PyTorch, ONNX Runtime and the decoder of photos let
other threads run while they compute.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from queue import Queue
from threading import Thread
from typing import Any

Work = Callable[[Any], Any]
END = object()
"""What tells a stage that nothing more comes."""
PLACES = 2
"""Results that wait between two stages, at most."""


def in_turn(stages: Sequence[Work], batches: Iterable[Any]) -> list[Any]:
    """One worker: every batch through all stages, then the next.

    Examples
    --------
    >>> in_turn([lambda x: x + 1, lambda x: 10 * x], [1, 2])
    [20, 30]
    """
    done = []
    for batch in batches:
        for stage in stages:
            batch = stage(batch)
        done.append(batch)
    return done


def shared_out(work: Work, batches: Iterable[Any], workers: int) -> list[Any]:
    """Data parallelism: whoever is free takes the next batch; the results come in order.

    Examples
    --------
    >>> shared_out(lambda x: x**2, [1, 2, 3], workers=2)
    [1, 4, 9]
    """
    with ThreadPoolExecutor(workers) as pool:
        return list(pool.map(work, batches))


def in_a_row(stages: Sequence[Work], batches: Iterable[Any]) -> list[Any]:
    """Model parallelism, a pipeline: a worker a stage; while the second works on a batch, the first
    has the next one. It is as fast as its slowest stage.

    Examples
    --------
    >>> in_a_row([lambda x: x + 1, lambda x: 10 * x], [1, 2])
    [20, 30]
    """
    queues: list[Queue] = [Queue(PLACES) for _ in range(len(stages) + 1)]

    def keep_going(stage: Work, before: Queue, after: Queue) -> None:
        while (batch := before.get()) is not END:
            after.put(stage(batch))
        after.put(END)

    def feed() -> None:
        for batch in batches:
            queues[0].put(batch)
        queues[0].put(END)

    threads = [Thread(target=feed)]
    for stage, (before, after) in zip(stages, pairwise(queues), strict=True):
        threads.append(Thread(target=keep_going, args=(stage, before, after)))
    for thread in threads:
        thread.start()
    done = list(iter(queues[-1].get, END))
    for thread in threads:
        thread.join()
    return done


def ahead(prepare: Work, items: Iterable[Any]) -> Iterator[Any]:
    """Asynchronous preparation: while the caller uses a batch, a thread prepares the next one.

    Examples
    --------
    >>> list(ahead(lambda name: name.upper(), ["a", "b"]))
    ['A', 'B']
    """
    waiting = None
    with ThreadPoolExecutor(1) as pool:
        for item in items:
            coming = pool.submit(prepare, item)
            if waiting is not None:
                yield waiting.result()
            waiting = coming
        if waiting is not None:
            yield waiting.result()
