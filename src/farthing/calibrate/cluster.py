"""Fits engines on slow networks: reading rate, an exchange, the issue of a kernel, the head."""

from __future__ import annotations

import csv
import dataclasses
import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np

from farthing import catalog
from farthing.calibrate.search import least, rounded
from farthing.errors import FarthingError
from farthing.evidence.cluster import RATES, Setup, part_s, setup_of
from farthing.evidence.load import shipped
from farthing.evidence.outcome import number
from farthing.evidence.split import is_fitted
from farthing.records.comparison import Case

DATA: Final = Path(catalog.__file__).parent / "data"
CLIPPED: Final = math.log(2.0)
"""Errors beyond a factor of two count as one: a throttled board must not pull a constant."""

FIRST_GUESS: Final = {"memory_share": 0.8, "exchange_s": 3e-4, "decode_launch_s": 3e-4, "head_factor": 4.0}
BOUNDS: Final = {
    "memory_share": (0.05, 1.3),
    "exchange_s": (1e-5, 1e-3),
    "decode_launch_s": (1e-6, 5e-3),
    "head_factor": (1.0, 20.0),
}
ROOTED: Final = ("memory_share", "exchange_s", "head_factor")
TIMED: Final = (*RATES, "ms_per_token", "ms_compute_per_token", "ms_transfer_per_token")

Row = tuple[Case, Setup, float]


def fit() -> None:
    """Fit all constants of engines on slow networks and write them into the tables."""
    rows = _rows()
    rooted = [row for row in rows if row[1].plan.engine == "distributed-llama"]
    by_card: dict[str, list[Row]] = {}
    for row in rooted:
        by_card.setdefault(row[1].about.cluster.groups[0].accelerator.architecture, []).append(row)
    first = {
        f"{name} {_shared(name, architecture)}": FIRST_GUESS[name]
        for architecture in by_card
        for name in ROOTED
    }
    found, _ = least(
        lambda constants: _loss(rooted, constants),
        first,
        {name: BOUNDS[name.split()[0]] for name in first},
    )
    for architecture, mine in by_card.items():
        shares = {name: found[f"{name} {_shared(name, architecture)}"] for name in ROOTED}
        _write("distributed-llama", architecture, shares, _note(mine))
    usual = {
        name: rounded(
            float(np.median([found[f"{name} {_shared(name, architecture)}"] for architecture in by_card]))
        )
        for name in ROOTED
    }
    _write("distributed-llama", "*", usual, f"median over {', '.join(sorted(by_card))}")
    petals = [row for row in rows if row[1].plan.engine == "petals"]
    launch, _ = least(
        lambda constants: _loss(petals, constants),
        {"decode_launch_s": FIRST_GUESS["decode_launch_s"]},
        {"decode_launch_s": BOUNDS["decode_launch_s"]},
    )
    _write("petals", "*", launch, _note(petals))


def _shared(name: str, architecture: str) -> str:
    """Boards of one family run the same network stack: an exchange costs them the same."""
    return "-".join(architecture.split("-")[:2]) if name == "exchange_s" else architecture


def _rows() -> list[Row]:
    found = []
    for case in shipped("cluster"):
        if not is_fitted(case) or case.cells.get("metric") not in TIMED:
            continue
        try:
            setup = setup_of(case)
        except FarthingError:
            continue
        apart = case.cells["metric"] == "ms_transfer_per_token" and setup.plan.tp == 1
        if setup.plan.engine and not apart and "offload" not in case.cells.get("parallelism", ""):
            found.append((case, setup, number(case, "value")))
    return found


def _loss(rows: Sequence[Row], constants: Mapping[str, float]) -> float:
    """Mean of the clipped logarithmic errors; parts of a step count a third, as two of them make a whole."""
    errors, weights = [], []
    for case, setup, measured in rows:
        metric = case.cells["metric"]
        time_s = part_s(_with(setup, constants), metric)
        predicted = setup.batch / time_s if metric in RATES else time_s * 1e3
        errors.append(min(abs(math.log(predicted / measured)), CLIPPED))
        weights.append(1.0 if metric in (*RATES, "ms_per_token") else 1 / 3)
    return float(np.average(errors, weights=weights))


def _with(setup: Setup, constants: Mapping[str, float]) -> Setup:
    about = setup.about
    architecture = about.cluster.groups[0].accelerator.architecture
    mine = {
        name.split()[0]: value
        for name, value in constants.items()
        if name.split()[-1] in (_shared(name.split()[0], architecture), name.split()[0])
    }
    devices = about.devices
    if "memory_share" in mine:
        devices = tuple(
            dataclasses.replace(card, memory_share=constant.memory_share * mine["memory_share"])
            for card, constant in zip(devices, about.efficiencies, strict=True)
        )
    hosts = {name: value for name, value in mine.items() if name != "memory_share"}
    changed = dataclasses.replace(
        about,
        devices=devices,
        overheads=dataclasses.replace(about.overheads, **hosts),  # type: ignore[arg-type]
    )
    return dataclasses.replace(setup, about=changed)


def _note(rows: Sequence[Row]) -> str:
    return f"{len(rows)} rows of {', '.join(sorted({case.source for case, _, _ in rows}))}"


def _write(engine: str, architecture: str, constants: Mapping[str, float], note: str) -> None:
    file = DATA / "efficiency" / "engines.csv"
    lines = _lines(file)
    cells = {
        name.removesuffix("_s") + "_us" if name.endswith("_s") else name: f"{rounded(value * 1e6):g}"
        if name.endswith("_s")
        else f"{value:g}"
        for name, value in constants.items()
    }
    new = dict.fromkeys(lines[0], "") | {"engine": engine, "architecture": architecture, "format": "*"}
    new |= cells | {"fitted_on": note}
    place = next(
        (
            i
            for i, line in enumerate(lines)
            if (line["engine"], line["architecture"]) == (engine, architecture)
        ),
        None,
    )
    if place is None:
        lines.append(new)
    else:
        lines[place] = new
    _save(file, lines)


def _lines(file: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(file.read_text("utf-8"))))


def _save(file: Path, lines: Sequence[Mapping[str, str]]) -> None:
    out = io.StringIO()
    writer = csv.DictWriter(out, list(lines[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    file.write_text(out.getvalue(), "utf-8")
