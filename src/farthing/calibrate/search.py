"""A small deterministic search for constants: coordinate steps with pattern moves on a logarithmic scale."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Final

STEPS: Final = (0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005)
"""Relative steps, from coarse to fine."""


def rounded(value: float) -> float:
    """A value with three significant digits."""
    return float(f"{value:.3g}")


def least(
    loss: Callable[[dict[str, float]], float],
    start: Mapping[str, float],
    bounds: Mapping[str, tuple[float, float]],
) -> tuple[dict[str, float], float]:
    """The constants near the start with the least loss, rounded to three significant digits.

    Hooke and Jeeves: try each constant up and down, go on in a direction that helped, shorten the steps. A
    kink that couples two constants can stop it early: give it several starts.
    """
    point = {name: rounded(value) for name, value in start.items()}
    best = loss(point)
    for step in STEPS:
        for _ in range(30):
            before, reached = dict(point), best
            for name in point:
                for sign in (1, -1):
                    trial = {**point, name: _moved(point[name], sign * step, bounds[name])}
                    found = loss(trial)
                    if found < best - 1e-9:
                        point, best = trial, found
                        break
            if best > reached - 1e-6:
                break
            further = {
                name: _moved(point[name], math.log(point[name] / before[name]), bounds[name])
                for name in point
            }
            found = loss(further)
            if found < best - 1e-9:
                point, best = further, found
    return point, best


def _moved(value: float, step: float, bounds: tuple[float, float]) -> float:
    return rounded(min(max(value * math.exp(step), bounds[0]), bounds[1]))
