"""Fits the constants of serving engines to closed loops of users: rates, host times, waiting."""

from __future__ import annotations

import csv
import dataclasses
import io
from collections import Counter
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any, Final

import numpy as np

from farthing import catalog
from farthing.calibrate.search import least
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
    "step_s": 1e-4,
    "exchange_s": 5e-6,
    "request_s": 4e-2,
    "waiting_share": 0.1,
}
"""Constants that are sought, and where the search begins; keys and values are read as fast as weights."""

LIMITS: Final[Mapping[str, tuple[float, float]]] = {
    "matmul_share": (0.35, 1.1),
    "memory_share": (0.6, 1.25),
    "attention_share": (0.35, 1.6),
    "step_s": (2e-5, 5e-3),
    "exchange_s": (1e-6, 4e-5),
    "request_s": (5e-3, 0.3),
    "waiting_share": (0.03, 0.6),
}
"""Where a constant still has a meaning; the rates stay below the peaks."""

BURST: Final = (0.1, 0.03, 0.6)
"""Start and limits of ``burst_share``: a twentieth if one of ten rounds comes at once, half if all do."""

OWN_KERNELS: Final = ("fp8-block", "w4a16-g32")
"""Formats that run on kernels of their own, whose constants are fitted after all the rest."""

KERNEL_CONSTANTS: Final = ("matmul_share", "memory_share", "step_s")

STARTS: Final[tuple[Mapping[str, float], ...]] = ({}, {"memory_share": 0.8}, {"matmul_share": 1.0})
"""Where else the search for own kernels begins: reading and computing trade off, and one start gets stuck."""

PULL: Final = 0.002
"""Loss for each factor e between a constant and where the search began: none runs off for nothing."""

MOST_ROWS: Final = 60
"""Of a source; more add nothing but time."""

TPOT_CAP: Final = 0.2
"""Logarithmic error beyond which a row counts no more: it ran with what it does not tell."""
TTFT_CAP: Final = 1.0
TTFT_WEIGHT: Final = 0.3
"""Of a row's first token beside its other tokens; where prompts are read apart it tells the burst alone."""

Key = tuple[str, str, str]


@dataclasses.dataclass(frozen=True, slots=True)
class _Row:
    setup: Deployment
    ttft_s: float
    tpot_s: float
    source: str

    @property
    def form(self) -> str:
        """Format of the constants that its passes run by."""
        return self.setup.weight_format if self.setup.weight_format in OWN_KERNELS else "*"


def fit() -> None:
    """Fit every engine on every architecture that the fitted sources know, and write the table."""
    groups = _groups()
    found: dict[Key, EngineEfficiency] = {}
    for key in sorted(groups):
        engine, architecture, form = key
        if form == "*":
            found[key] = fitted(groups[key], form, _engine(engine), tuple(START))
        else:
            start = found[engine, architecture, "*"]
            found[key] = fitted(groups[key], form, start, KERNEL_CONSTANTS)
    for engine, architecture, form in sorted(groups):
        if form == "*":
            _fit_burst(groups[engine, architecture, form], found, (engine, architecture))
    write(found)


def _fit_burst(rows: Sequence[_Row], found: dict[Key, EngineEfficiency], where: tuple[str, str]) -> None:
    """Add the wait before workers that only read prompts, told by first tokens alone."""
    apart = [row for row in rows if row.setup.prefill]
    if not apart:
        return
    counts = Counter(row.source for row in apart)

    def value(trial: Mapping[str, float]) -> float:
        total = 0.0
        for row in apart:
            engine = dataclasses.replace(found[*where, row.form], burst_share=trial["burst_share"])
            try:
                ttft_s = serving.__wrapped__(row.setup, engine=engine).ttft_s
            except FarthingError:
                continue
            total += min(abs(np.log(ttft_s / row.ttft_s)), TTFT_CAP) / counts[row.source]
        return float(total / len(counts))

    best, _ = least(value, {"burst_share": BURST[0]}, {"burst_share": BURST[1:]})
    found[*where, "*"] = dataclasses.replace(found[*where, "*"], burst_share=best["burst_share"])


def _groups() -> dict[Key, list[_Row]]:
    """Rows of the fitted sources by engine, architecture and format, at even distances."""
    by_source: dict[str, dict[tuple[Deployment, float, float], _Row]] = {}
    for case in filter(is_fitted, shipped("serving_online")):
        try:
            setup = deployment_of(case)
        except FarthingError:
            continue
        ttft_s, tpot_s = number(case, "silicon_ttft_ms") / 1e3, number(case, "silicon_tpot_ms") / 1e3
        # Some measurements are printed twice.
        row = _Row(setup, ttft_s, tpot_s, case.source)
        by_source.setdefault(case.source, {})[setup, ttft_s, tpot_s] = row
    groups: dict[Key, list[_Row]] = {}
    for rows in by_source.values():
        for row in list(rows.values())[:: -(-len(rows) // MOST_ROWS)]:
            architecture = catalog.accelerator(row.setup.card).architecture
            # What a request waits for does not depend on the format: all rows count for the engine.
            for form in dict.fromkeys(("*", row.form)):
                groups.setdefault((row.setup.engine, architecture, form), []).append(row)
    return groups


def loss(rows: Sequence[_Row], form: str, engine: EngineEfficiency) -> float:
    """Mean of the capped logarithmic errors, sources weighted equally."""
    counts = Counter(row.source for row in rows)
    total = 0.0
    for row in rows:
        try:
            found = serving.__wrapped__(row.setup, engine=engine)
        except FarthingError:
            continue
        error = 0.0
        if row.form == form:
            error = min(abs(np.log(found.tpot_s / row.tpot_s)), TPOT_CAP)
        if row.setup.prefill is None:
            error += TTFT_WEIGHT * min(abs(np.log(found.ttft_s / row.ttft_s)), TTFT_CAP)
        total += error / counts[row.source]
    return float(total / len(counts))


def _engine(name: str) -> EngineEfficiency:
    """Where the search begins: what no fit tells is as in the table."""
    rows = catalog.engine_efficiencies().values()
    told = next((row for row in rows if (row.engine, row.architecture, row.format) == (name, "*", "*")), None)
    narrow = told.narrow_prompts if told else float("nan")
    return _with(dataclasses.replace(NO_OVERHEAD, narrow_prompts=0.0 if np.isnan(narrow) else narrow), START)


def _with(engine: EngineEfficiency, constants: Mapping[str, float]) -> EngineEfficiency:
    values: dict[str, Any] = {**constants, "kv_share": constants["memory_share"]}
    return dataclasses.replace(engine, **values)


def fitted(
    rows: Sequence[_Row], form: str, start: EngineEfficiency, names: Sequence[str]
) -> EngineEfficiency:
    """The constants of those names that explain the rows best, the others as they are."""
    origin = {name: float(getattr(start, name)) for name in names}

    def value(trial: Mapping[str, float]) -> float:
        pull = sum(abs(np.log(trial[name] / origin[name])) for name in names)
        return loss(rows, form, _with(start, trial)) + PULL * float(pull)

    starts = STARTS if form != "*" else STARTS[:1]
    best, _ = min((least(value, {**origin, **other}, LIMITS) for other in starts), key=lambda found: found[1])
    what = sorted({f"{row.setup.card} {row.setup.weight_format}" for row in rows})
    note = f"{len(rows)} online measurements in closed loops: {', '.join(what)}"
    return dataclasses.replace(_with(start, best), fitted_on=note)


def write(found: Mapping[Key, EngineEfficiency]) -> None:
    """Replace the rows of these keys; keep all others."""
    header, *rows = list(csv.reader(TABLE.read_text("utf-8").splitlines()))
    kept = [row for row in rows if tuple(row[:3]) not in found]
    kept += [[_cell(column, key, engine) for column in header] for key, engine in found.items()]
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows([header, *kept])
    TABLE.write_text(out.getvalue(), "utf-8")
    catalog.engine_efficiency.cache_clear()


def _cell(column: str, key: Key, found: EngineEfficiency) -> str:
    words = dict(zip(("engine", "architecture", "format"), key, strict=True)) | {"fitted_on": found.fitted_on}
    if column in words:
        return words[column]
    name = column.replace("_us", "_s")
    fields = (*((*START, "burst_share") if key[2] == "*" else KERNEL_CONSTANTS), "kv_share")
    if name not in fields or np.isnan(getattr(found, name)):
        return ""
    value = getattr(found, name) * (1e6 if column.endswith("_us") else 1)
    return f"{float(f'{value:.3g}'):g}"
