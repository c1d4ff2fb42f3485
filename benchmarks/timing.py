"""How the benchmarks measure: the best of several repeats, beside something measured in the same run."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Sequence


def seconds_per_call(function: Callable[[], object], *, at_least_s: float = 0.3, repeats: int = 5) -> float:
    """Least mean time of a call over repeats that each last long enough to be read [s]."""
    function()
    number = 1
    while True:
        start = time.perf_counter()
        for _ in range(number):
            function()
        took = time.perf_counter() - start
        if took >= at_least_s / 5:
            break
        number *= 2
    best = took / number
    for _ in range(repeats):
        start = time.perf_counter()
        for _ in range(number):
            function()
        best = min(best, (time.perf_counter() - start) / number)
    return best


def seconds_per_process(command: Sequence[str], *, repeats: int = 7) -> float:
    """Least wall time of a whole process [s]."""
    best = float("inf")
    for _ in range(repeats):
        start = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        best = min(best, time.perf_counter() - start)
    return best
