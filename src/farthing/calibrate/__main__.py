"""``python -m farthing.calibrate``: fit all constants again, then condense the errors that remain.

With names of steps, only those. Each step is a process of its own: it sees what the one before it wrote.
"""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Final

from farthing.calibrate import residuals
from farthing.catalog import own
from farthing.evidence.load import all_shipped
from farthing.evidence.validate import compare

FITS: Final = (
    "kernels",
    "training",
    "fine_tuning",
    "inference",
    "serving",
    "scheduling",
    "consumer",
    "cluster",
    "resale",
)
"""Modules whose ``fit`` writes constants; each rests on those before it."""

RESIDUALS: Final = "residuals"


def main(steps: list[str]) -> int:
    """Run the steps in their order; 0 where all did."""
    if not steps:
        for step in (*FITS, RESIDUALS):
            sys.stderr.write(f"calibrating {step}\n")
            done = subprocess.run([sys.executable, "-m", "farthing.calibrate", step], check=False)
            if done.returncode:
                return done.returncode
        return 0
    # Constants that ship must not depend on this user's own.
    own.ignore()
    for step in steps:
        _step(step)()
    return 0


def _step(name: str) -> Callable[[], None]:
    if name == RESIDUALS:
        return _condense
    if name not in FITS:
        sys.exit(f"no step {name!r}; steps: {', '.join((*FITS, RESIDUALS))}")
    fit: Callable[[], None] = importlib.import_module(f"farthing.calibrate.{name}").fit
    return fit


def _condense() -> None:
    residuals.write(compare(all_shipped(), jobs=os.cpu_count() or 1))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
