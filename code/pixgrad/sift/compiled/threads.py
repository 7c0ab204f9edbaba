"""Threads for compiled functions, which let go of Python's lock.

As many as ``$NUMBA_NUM_THREADS`` says, else one for each processor. A part has rows or keypoints of
its own, and each number is computed in one thread in one order: the bits do not depend on threads.
"""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache

from numba import config


@cache
def pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, "pixgrad-sift")


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=pool.cache_clear)  # threads do not survive a fork


def spread(function: Callable, count: int, least: int, *arguments: object) -> list:
    """Call ``function(first, last, *arguments)`` for equal parts of 0 … count, one in a thread.

    Parameters
    ----------
    least : a part is not smaller; one part needs no other thread.

    Returns
    -------
    What the calls return, in the order of the parts.
    """
    parts = max(1, min(config.NUMBA_NUM_THREADS, count // least))
    edges = [count * i // parts for i in range(parts + 1)]
    others = [
        pool(parts - 1).submit(function, edges[i], edges[i + 1], *arguments)
        for i in range(1, parts)
    ]
    return [function(0, edges[1], *arguments), *(other.result() for other in others)]
