"""``farthing simulate``: a service under load, and a training run whose parts fail."""

from __future__ import annotations

from typing import Final

import click

from farthing.cli.main import LazyGroup

COMMANDS: Final = {
    "serve": "farthing.cli.simulate_serve:serve",
    "faults": "farthing.cli.simulate_faults:faults",
}


@click.group("simulate", cls=LazyGroup, lazy=COMMANDS, short_help="Services under load, runs under faults.")
def simulate() -> None:
    """Play requests against a planned service, or months of a training run whose parts fail."""
