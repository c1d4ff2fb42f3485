"""Fits the constants of serving engines to closed loops of users: rates, host times, and how long requests wait."""

from __future__ import annotations

import csv
import dataclasses
import functools
import io
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Final

import numpy as np

from farthing import catalog
from farthing.errors import FarthingError
from farthing.evidence.load import shipped
from farthing.evidence.outcome import number
from farthing.evidence.serving_online import serving
from farthing.evidence.serving_setup import Deployment, deployment_of
from farthing.evidence.split import is_fitted
from farthing.records.engine_efficiency import NO_OVERHEAD, EngineEfficiency

TABLE: Final = Path(str(resources.files("farthing.catalog"))) / "data" / "efficiency" / "engines.csv"

START: Final[Mapping[str, float]] = {
    "matmul_share": 0.7,
    "memory_share": 1.0,
    "attention_share": 0.7,
    "step_s": 4e-4,
    "exchange_s": 1e-5,
    "request_s": 4e-2,
    "waiting_share": 0.1,
}
"""Constants that are sought, and where the search begins; keys and values are read as fast as weights."""

LIMITS: Final[Mapping[str, tuple[float, float]]] = {
    "matmul_share": (0.1, 1.1),
    "memory_share": (0.3, 1.15),
    "attention_share": (0.1, 1.6),
    "step_s": (2e-5, 5e-3),
    "exchange_s": (1e-6, 4e-5),
    "request_s": (5e-3, 0.3),
    "waiting_share": (0.03, 0.6),
}
"""Where a constant still has a meaning; the rates stay below the peaks."""

PULL: Final = 0.01
"""Loss for each constant that lies a factor e from where the search began, so that none runs off for nothing."""

MOST_ROWS: Final = 60
"""Of a source and engine; more add nothing but time."""

STRIDES: Final = (1.6, 1.25, 1.1, 1.04)
"""Factors by which one constant at a time is moved."""

TPOT_CAP: Final = 0.3
"""Logarithmic error beyond which a row counts no more: it ran with settings that it does not tell."""
TTFT_CAP: Final = 1.0
TTFT_WEIGHT: Final = 0.3


@dataclasses.dataclass(frozen=True, slots=True)
class _Row:
    setup: Deployment
    ttft_s: float
    tpot_s: float
    weight: float


def fit() -> None:
    """Fit every engine on every architecture that the fitted sources know, and write the table."""
    write({key: fitted(rows) for key, rows in sorted(_groups().items())})


def _groups() -> dict[tuple[str, str], list[_Row]]:
    groups: dict[tuple[str, str], list[_Row]] = {}
    counts: dict[str, int] = {}
    found = {}
    for case in filter(is_fitted, shipped("serving_online")):
        try:
            setup = deployment_of(case)
        except FarthingError:
            continue
        values = number(case, "silicon_ttft_ms") / 1e3, number(case, "silicon_tpot_ms") / 1e3
        if setup.prefill is None:
            # Some measurements are printed twice.
            found[(setup, values)] = case.source
    for source in found.values():
        counts[source] = counts.get(source, 0) + 1
    seen: dict[str, int] = {}
    for (setup, (ttft_s, tpot_s)), source in found.items():
        seen[source] = seen.get(source, 0) + 1
        if seen[source] % -(-counts[source] // MOST_ROWS):
            continue
        architecture = catalog.accelerator(setup.card).architecture
        row = _Row(setup, ttft_s, tpot_s, 1 / counts[source])
        groups.setdefault((setup.engine, architecture), []).append(row)
    return groups


def loss(rows: Sequence[_Row], engine: EngineEfficiency) -> float:
    """Mean of the capped logarithmic errors, sources weighted equally."""
    total = weights = 0.0
    for row in rows:
        try:
            found = serving.__wrapped__(row.setup, engine=engine)
        except FarthingError:
            continue
        total += row.weight * min(abs(np.log(found.tpot_s / row.tpot_s)), TPOT_CAP)
        total += row.weight * TTFT_WEIGHT * min(abs(np.log(found.ttft_s / row.ttft_s)), TTFT_CAP)
        weights += row.weight
    return float(total / weights)


def _engine(constants: Mapping[str, float]) -> EngineEfficiency:
    return dataclasses.replace(NO_OVERHEAD, **constants, kv_share=constants["memory_share"])


def fitted(rows: Sequence[_Row]) -> EngineEfficiency:
    """Constants by coordinate search: each is moved by ever smaller factors while that helps."""

    def value_of(trial: Mapping[str, float]) -> float:
        pull = sum(abs(np.log(trial[name] / START[name])) for name in START)
        return loss(rows, _engine(trial)) + PULL * float(pull)

    best = dict(START)
    lowest = value_of(best)
    for stride in STRIDES:
        moved = True
        while moved:
            moved = False
            for name in START:
                for factor in (stride, 1 / stride):
                    low, high = LIMITS[name]
                    trial = {**best, name: float(f"{min(max(best[name] * factor, low), high):.3g}")}
                    value = value_of(trial)
                    if value < lowest - 1e-5:
                        best, lowest, moved = trial, value, True
    sources = sorted({f"{row.setup.card} {row.setup.weight_format}" for row in rows})
    note = f"{len(rows)} online measurements in closed loops: {', '.join(sources)}"
    return dataclasses.replace(_engine(best), fitted_on=note)


def write(constants: Mapping[tuple[str, str], EngineEfficiency]) -> None:
    """Replace the rows of these engines on these architectures, for all formats; keep all others."""
    text = TABLE.read_text("utf-8")
    header, *rows = list(csv.reader(text.splitlines()))
    kept = [row for row in rows if not (tuple(row[:2]) in constants and row[2] == "*")]
    for (engine, architecture), found in constants.items():
        kept.append([_cell(column, engine, architecture, found) for column in header])
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows([header, *kept])
    TABLE.write_text(out.getvalue(), "utf-8")
    catalog.engine_efficiency.cache_clear()


def _cell(column: str, engine: str, architecture: str, found: EngineEfficiency) -> str:
    if column in ("engine", "architecture", "format", "fitted_on"):
        return {"engine": engine, "architecture": architecture, "format": "*"}.get(column, found.fitted_on)
    name = column.replace("_us", "_s")
    if name not in START and name != "kv_share":
        return ""
    value = getattr(found, name) * (1e6 if column.endswith("_us") else 1)
    return f"{float(f'{value:.3g}'):g}"
