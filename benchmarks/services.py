"""Speed and memory of simulated services, against the same load played one pass at a time."""

from __future__ import annotations

import farthing

Row = tuple[str, str, str, str]

_LOAD = {
    "tp": 8,
    "requests_per_s": 10.0,
    "prompt": farthing.Lengths(kind="lognormal", tokens=900, spread=1.2, most=16_000),
    "output": farthing.Lengths(kind="lognormal", tokens=200, spread=0.9, most=4_000),
}
