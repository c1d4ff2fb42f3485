"""``python -m farthing.calibrate``: fit all constants again, then condense the errors that remain."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from typing import Final

from farthing.calibrate import residuals
from farthing.catalog import own
from farthing.evidence.load import all_shipped
from farthing.evidence.validate import compare

STEPS: Final = ("kernels", "training", "fine_tuning", "inference", "serving", "consumer", "cluster")
"""Modules whose ``fit`` writes constants; each rests on those before it."""


def main() -> int:
    """Run every step in its order; each sees what the one before it wrote."""
    # Constants that ship must not depend on this user's own.
    own.ignore()
    for step in STEPS:
        name = f"farthing.calibrate.{step}"
        if importlib.util.find_spec(name):
            sys.stderr.write(f"fitting {step}\n")
            importlib.import_module(name).fit()
    sys.stderr.write("condensing residuals\n")
    residuals.write(compare(all_shipped(), jobs=os.cpu_count() or 1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
