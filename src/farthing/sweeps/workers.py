"""Answers questions in processes of this machine."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from typing import Final

from farthing.errors import FarthingError
from farthing.sweeps.answer import Row, answers
from farthing.sweeps.grid import Grid

AHEAD: Final = 2
"""Chunks handed out for each worker, so that none waits for the next."""

_grids: list[Grid] = []
"""The grid that this process answers questions of."""


def in_workers(grid: Grid, chunks: Iterator[Sequence[int]], workers: int) -> Iterator[list[Row]]:
    """Rows of chunks of places, as they come.

    Raises
    ------
    FarthingError
        A worker died.
    """
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, context, initializer=_begin, initargs=(grid,))
    waiting: set[Future[list[Row]]] = set()
    try:
        with _deaf():
            waiting |= {pool.submit(_answer, chunk) for chunk in islice(chunks, workers)}
        while waiting:
            free = AHEAD * workers - len(waiting)
            waiting |= {pool.submit(_answer, chunk) for chunk in islice(chunks, free)}
            done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
            for future in done:
                yield future.result()
    except BrokenProcessPool:
        raise FarthingError(
            "a worker process died, perhaps for lack of memory; use fewer workers if it does so again"
        ) from None
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _begin(grid: Grid) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _grids[:] = [grid]
    threading.Thread(target=_follow_parent, daemon=True).start()


def _answer(chunk: Sequence[int]) -> list[Row]:
    return answers(_grids[0], chunk)


def _follow_parent() -> None:
    """End with the parent, also where that was killed and could not say so."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


@contextlib.contextmanager
def _deaf() -> Iterator[None]:
    """Processes that start meanwhile ignore interrupts from the first moment: the parent answers for all."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
