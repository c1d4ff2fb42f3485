"""Compares every case with its prediction, and adds the interval that it should lie in."""

from __future__ import annotations

import dataclasses
import functools
import importlib
import math
import re
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Final

import numpy as np

from farthing import catalog
from farthing.errors import CatalogError, FarthingError, InvalidInput
from farthing.estimate.interval import interval
from farthing.evidence.load import shipped
from farthing.evidence.outcome import refused
from farthing.evidence.split import KERNELS, is_fitted
from farthing.records.comparison import Case, Comparison

MODULES: Final = {
    "training": "training",
    "inference": "inference",
    "serving_online": "serving_online",
    "consumer": "consumer",
    "cluster": "cluster",
    "gemm": "kernels",
    "attention": "kernels",
    "collective": "kernels",
}
"""Module that reads each kind of case; its ``compare`` takes cases of that kind."""

MEASURED: Final = {
    "training": (
        "step_time_s",
        "tokens_per_s_per_gpu",
        "tflops_per_gpu",
        "mfu",
        "hfu",
        "mem_gb_per_gpu",
        "gpu_hours",
    ),
    "serving_online": ("silicon_ttft_ms", "silicon_tpot_ms"),
    "gemm": ("latency_ms",),
    "attention": ("latency_ms",),
    "collective": ("latency_ms",),
}
"""Columns of measured numbers; the other kinds name theirs in the column ``metric``."""

UNDER_LOAD: Final = {("serving_online", "prefill"): "first token under load"}
"""Times that queues make another thing of."""

COUNTED: Final = ("traffic",)
"""What is counted, so that no constant can be fitted to it."""

CHUNK: Final = 150
"""Whole-model rows that a process takes at once."""

DIGITS: Final = 16
"""Counts have fewer."""

WORDS: Final = frozenset({"id", "source", "url_or_repo_path", "notes", "silicon_data_source"})
"""Columns that may hold any text."""

Progress = Callable[[int, int], None]


def compare(
    cases: Sequence[Case], *, own: bool = False, jobs: int = 1, progress: Progress | None = None
) -> list[Comparison]:
    """The prediction of each measured number of the cases, or the reason why there is none, in order.

    Parameters
    ----------
    cases
        Of any kinds.
    own
        The cases are a user's: all sources count for their intervals, where shipped cases are judged by
        the intervals that all other sources give.
    jobs
        Processes that share the work.
    progress
        Called with the rows done and all rows.
    """
    chunks = list(_chunks(cases))
    found: list[list[Comparison]] = [[] for _ in chunks]
    done = 0
    for number, comparisons in _results(chunks, jobs):
        found[number] = comparisons
        done += len(chunks[number])
        if progress:
            progress(done, len(cases))
    return [
        with_interval(one, own=own) for comparisons in found for one in (marked(c, own) for c in comparisons)
    ]


def forget_estimates() -> None:
    """Drop what readers remember, as when constants change."""
    for name, module in list(sys.modules.items()):
        if name.startswith("farthing.evidence."):
            for thing in vars(module).values():
                if hasattr(thing, "cache_clear"):
                    thing.cache_clear()


def _chunks(cases: Sequence[Case]) -> Iterator[list[Case]]:
    """Runs of one kind: kernels whole, as they are computed in columns."""
    start = 0
    for place in range(1, len(cases) + 1):
        kind = cases[start].kind
        full = place - start >= CHUNK and kind not in KERNELS
        if place == len(cases) or cases[place].kind != kind or full:
            yield list(cases[start:place])
            start = place


def _results(chunks: Sequence[list[Case]], jobs: int) -> Iterator[tuple[int, list[Comparison]]]:
    slow = [number for number, chunk in enumerate(chunks) if chunk[0].kind not in KERNELS]
    if jobs < 2 or len(slow) < 3:
        for number, chunk in enumerate(chunks):
            yield number, compare_chunk(chunk)
        return
    # Imported here: most runs need no processes.
    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor, as_completed

    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(min(jobs, len(slow)), context, initializer=_ignore_interrupts)
    try:
        waiting = {pool.submit(compare_chunk, chunks[number]): number for number in slow}
        for number, chunk in enumerate(chunks):
            if chunk[0].kind in KERNELS:
                yield number, compare_chunk(chunk)
        for future in as_completed(waiting):
            yield waiting[future], future.result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _ignore_interrupts() -> None:
    """The parent answers an interrupt for all."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def compare_chunk(cases: Sequence[Case]) -> list[Comparison]:
    """The comparisons of cases of one kind; a row that its reader stumbles over is refused alone."""
    module = importlib.import_module(f"farthing.evidence.{MODULES[cases[0].kind]}")
    cases = [identified(case) for case in cases]
    try:
        for case in cases:
            check_range(case)
        # Odd sizes divide by zero; what comes of that is refused below.
        with np.errstate(all="ignore"):
            found: list[Comparison] = module.compare(cases)
    except CatalogError:
        raise
    except (FarthingError, ArithmeticError, LookupError, TypeError, ValueError) as error:
        if len(cases) == 1:
            return unread(cases[0], problem_of(error))
        half = len(cases) // 2
        return compare_chunk(cases[:half]) + compare_chunk(cases[half:])
    return [checked(one) for one in with_all(cases, found)]


def identified(case: Case) -> Case:
    """Without ids that are none of the catalogue's, so that names count."""
    known = {"model_id": catalog.models(), "accelerator_id": catalog.accelerators()}
    odd = {name: "" for name, ids in known.items() if case.cells.get(name) and case.cells[name] not in ids}
    return dataclasses.replace(case, cells={**case.cells, **odd}) if odd else case


def with_all(cases: Sequence[Case], found: Sequence[Comparison]) -> list[Comparison]:
    """The comparisons, and a refusal for each row that has no measured number."""
    rows: dict[int, list[Comparison]] = {id(case): [] for case in cases}
    for one in found:
        rows[id(one.case)].append(one)
    return [one for case in cases for one in rows[id(case)] or [unmeasured(case)]]


def unmeasured(case: Case) -> Comparison:
    """A row without a measured number."""
    names = MEASURED.get(case.kind)
    return refused(case, names[0] if names else case.cells["metric"], math.nan, "no measured number is given")


def check_range(case: Case) -> None:
    """Numbers that count nothing in this world would make readers count for ever."""
    for column, cell in case.cells.items():
        if len(cell) > DIGITS and cell.isdigit() and column in header(case.kind) - WORDS:
            raise InvalidInput(f"{column} is out of range")


def problem_of(error: Exception) -> str:
    """What is wrong with a row, in words of its own."""
    words = str(error) or type(error).__name__
    if isinstance(error, ArithmeticError) or re.search("math domain|cannot convert float", words):
        return "a number is out of range"
    found = re.match(r"could not convert string to float: (.*)", words, re.DOTALL)
    return f"{found[1]} is not a number" if found else words


def unread(case: Case, problem: str) -> list[Comparison]:
    """The measured numbers of a row that cannot be read."""
    names = MEASURED.get(case.kind)
    cells = (
        {name: case.cells.get(name, "") for name in names}
        if names
        else {case.cells.get("metric", ""): case.cells.get("value", "")}
    )
    reason = f"the row cannot be read: {problem}"
    return [
        refused(case, name, positive(text), reason) for name, text in cells.items() if text or len(cells) == 1
    ] or [unmeasured(case)]


def positive(text: str) -> float:
    """A measured number; NaN where the cell holds none."""
    try:
        value = float(text)
    except ValueError:
        return math.nan
    return value if math.isfinite(value) and value > 0 else math.nan


def checked(one: Comparison) -> Comparison:
    """Only positive numbers are compared; what was measured stays known where nothing is predicted."""
    if one.reason:
        column = one.quantity if one.case.kind in MEASURED else "value"
        given = math.isfinite(one.measured)
        return one if given else dataclasses.replace(one, measured=positive(one.case.cells.get(column, "")))
    for name, value in (("measured number", one.measured), ("prediction", one.predicted)):
        if not (math.isfinite(value) and value > 0):
            reason = f"the {name} is {value:g}, not a positive number"
            return refused(one.case, one.quantity, one.measured, reason, group=one.group)
    return one


def marked(one: Comparison, own: bool) -> Comparison:
    """Say where constants were fitted to the number; what waits in queues is a time of its own."""
    if what := UNDER_LOAD.get((one.case.kind, one.likeness.what)):
        one = dataclasses.replace(one, likeness=dataclasses.replace(one.likeness, what=what))
    if one.likeness.what in COUNTED or not is_fitted(one.case):
        return one
    if own and one.case.kind in KERNELS and _cells(one.case) not in shipped_cells(one.case.kind):
        return one
    return dataclasses.replace(one, fitted=True)


@functools.cache
def header(kind: str) -> frozenset[str]:
    """The columns of a kind's layout; others are a user's own."""
    return frozenset(shipped(kind)[0].cells)


@functools.cache
def shipped_cells(kind: str) -> frozenset[tuple[tuple[str, str], ...]]:
    """The shipped rows of a kind, to be recognised."""
    return frozenset(map(_cells, shipped(kind)))


def _cells(case: Case) -> tuple[tuple[str, str], ...]:
    return tuple(case.cells.items())


def with_interval(one: Comparison, *, own: bool) -> Comparison:
    """The interval of a prediction, in its unit."""
    if one.reason or not one.likeness.what:
        return one
    found = interval(one.likeness, "" if own else one.case.source)
    low, high = (1 / found.high, 1 / found.low) if one.rate else (found.low, found.high)
    return dataclasses.replace(one, low=one.predicted * low, high=one.predicted * high)
