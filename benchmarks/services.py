"""Speed and memory of simulated services, against the same load played one pass at a time."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from unittest import mock

import farthing
from farthing.records.serving import Lengths, ServingResult
from farthing.simulate.serving.lane import Lane

Row = tuple[str, str, str, str]

MODEL, CLUSTER = "llama-3.3-70b", "1x8:h100-sxm"
LOAD: dict[str, Any] = {
    "requests_per_s": 6.0,
    "prompt": Lengths(kind="lognormal", tokens=900, spread=1.0, most=16_000),
    "output": Lengths(kind="lognormal", tokens=200, spread=0.8, most=4_000),
}
FEW, MANY = 20_000, 1_000_000


def services() -> list[Row]:
    """A 70B model on eight cards at some two thirds of what it can do, up to a million requests."""
    # Passes one at a time: the stretches that make many of them one step have length one.
    with mock.patch.object(Lane, "steps_alike", return_value=1):
        plain_s, plain = _played(FEW // 10)
    few_s, few = _played(FEW)
    many_s, many = _played(MANY)
    one = plain_s / plain.offered
    rows = [
        (
            f"{plain.offered:,} requests, one pass at a time",
            f"{1 / one:,.0f} requests/s",
            "1.0 x",
            "",
        )
    ]
    for took, result in ((few_s, few), (many_s, many)):
        each = took / result.offered
        rows.append(
            (
                f"{result.offered:,} requests",
                f"{1 / each:,.0f} requests/s",
                f"{one / each:.1f} x",
                "20,000 requests/s",
            )
        )
    growth = (many_s / many.offered) / (few_s / few.offered)
    rows.append(("  time a request, a million to 20,000", f"{growth:.2f} x", "", "1 x: linear"))
    return rows + _memory()


def _played(requests: int) -> tuple[float, ServingResult]:
    start = time.perf_counter()
    result = farthing.simulate_serving(MODEL, CLUSTER, requests=requests, **LOAD)
    return time.perf_counter() - start, result


def _memory() -> list[Row]:
    """Most memory of short and long simulations, each in a process of its own."""
    if not Path("/proc/self/status").exists():
        return [("memory", "not measured", "", "flat")]
    peaks = [_peak_kib(requests) for requests in (2_000, FEW, MANY)]
    return [
        (
            f"  most memory, {requests:,} requests",
            f"{peak / 1024:.0f} MiB",
            f"{peak / peaks[0]:.2f} x",
            "flat" if requests == MANY else "",
        )
        for requests, peak in zip((2_000, FEW, MANY), peaks, strict=True)
    ]


def _peak_kib(requests: int) -> int:
    code = (
        f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); import services; "
        f"services._played({requests}); "
        "print(open('/proc/self/status').read().split('VmHWM:')[1].split()[0])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return int(done.stdout)


if __name__ == "__main__":
    for name, figure, ratio, limit in services():
        sys.stdout.write(f"{name:40} {figure:>20} {ratio:>10}  {'bar: ' + limit if limit else ''}\n")
