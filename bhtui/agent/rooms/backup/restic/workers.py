"""Child processes that hash, compress and seal: threads would wait for each other."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from typing import Any, TypeVar

from .errors import EngineError

_PR_SET_PDEATHSIG = 1
AHEAD = 3
"""Items given out for each process, so that none waits for its next one."""
T = TypeVar("T")
R = TypeVar("R")


def count() -> int:
    """How many are worth having: one for each processor this process may use."""
    return len(os.sched_getaffinity(0))


def die_with_parent(parent: int) -> None:
    """Called first in a child: it is killed when its parent is. (prctl(2), PR_SET_PDEATHSIG)"""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if os.getppid() != parent:
        os._exit(1)


def parallel(work: Callable[[T], R], items: Iterable[T], processes: int | None = None) -> Iterator[R]:
    """`work` of each item in forked children, which have all that this process has now; results as they come.

    Items are taken from their iterable only as children get free. What `work` raises is raised here; it must not use a
    storage, for the connections of a parent are no use to its child. Raises EngineError when a child is killed.
    """
    number = processes or count()
    context = multiprocessing.get_context("fork")
    source = iter(items)
    pool = ProcessPoolExecutor(number, context, _begin, (os.getpid(), work))
    try:
        running: set[Future[R]] = {pool.submit(_do, item) for item in islice(source, number * AHEAD)}
        while running:
            done, running = wait(running, return_when=FIRST_COMPLETED)
            running |= {pool.submit(_do, item) for item in islice(source, len(done))}
            for each in done:
                yield each.result()
    except BrokenProcessPool as error:
        raise EngineError(
            "internal", "cannot go on: a worker process was killed, perhaps for want of memory"
        ) from error
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


_work: Callable[[Any], Any] | None = None


def _begin(parent: int, work: Callable[[Any], Any]) -> None:
    global _work
    die_with_parent(parent)
    _work = work


def _do(item: Any) -> Any:
    assert _work is not None
    return _work(item)
