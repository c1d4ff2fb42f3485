"""Fits what requests and tokens cost hosts, and passes that read prompts, in the simulation of services.

The constants of the closed form were fitted together with its waiting, and to the printed lengths of prompts,
which the client's fall short of by a tenth. The simulation has waiting and lengths of its own.
"""

from __future__ import annotations

import csv
import io
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from functools import partial
from importlib import resources
from pathlib import Path
from typing import Final

import numpy as np

from farthing.errors import FarthingError
from farthing.evidence.load import shipped
from farthing.evidence.outcome import number
from farthing.evidence.serving_online import closed_form
from farthing.evidence.serving_simulated import simulated
from farthing.evidence.split import is_fitted
from farthing.records.comparison import Case

TABLE: Final = Path(str(resources.files("farthing.catalog"))) / "data" / "schedulers.csv"
TRIED: Final[Mapping[str, Sequence[float]]] = {
    "request_s": (0.005, 0.01, 0.02, 0.03, 0.045, 0.065, 0.09, 0.12, 0.16, 0.2),
    "reading_kernel_s": (1e-6, 1.5e-5, 3e-5, 4.5e-5, 6e-5, 8e-5, 1.1e-4),
    "stream_s": (0.0, 1e-4, 2e-4, 4e-4, 6e-4, 1e-3, 1.5e-3),
    "reading_factor": (0.9, 1.0, 1.1, 1.2, 1.35, 1.5),
}
"""Constants that are sought one after the other, and their values."""
START: Final = {"request_s": 0.03, "reading_kernel_s": 4.5e-5, "stream_s": 4e-4, "reading_factor": 1.1}
COLUMNS: Final = ("silicon_ttft_ms", "silicon_tpot_ms")
ROUNDS: Final = 2
MOST_ROWS: Final = 24
"""Of a source; more add nothing but time."""
MOST_USERS: Final = 1300
TTFT_CAP: Final = 1.0
TPOT_CAP: Final = 0.2
"""Logarithmic errors beyond which a row counts no more: it ran with what it does not tell."""


def fit(jobs: int = 2) -> None:
    """Fit the constants of every engine that the fitted sources know, and write the table."""
    by_engine: dict[str, list[Case]] = defaultdict(list)
    for case in _cases():
        by_engine[closed_form(case, "TTFT")[0].engine].append(case)
    with ProcessPoolExecutor(jobs) as pool:
        found = {engine: _fitted(cases, pool) for engine, cases in sorted(by_engine.items())}
    write(found)


def _cases() -> list[Case]:
    """Rows of the fitted sources that can be planned, at even distances."""
    by_source: dict[str, list[Case]] = defaultdict(list)
    for case in filter(is_fitted, shipped("serving_online")):
        try:
            setup, _ = closed_form(case, "TTFT")
            # Where prompts are read apart, much else is between a request and its first token.
            if number(case, "silicon_ttft_ms") > 0 and setup.users <= MOST_USERS and not setup.prefill:
                by_source[case.source].append(case)
        except FarthingError:
            continue
    return [case for rows in by_source.values() for case in rows[:: -(-len(rows) // MOST_ROWS)]]


def _fitted(cases: Sequence[Case], pool: Executor) -> tuple[dict[str, float], str]:
    """The constants that explain the rows best, and what they were fitted on."""
    counts = Counter(case.source for case in cases)
    weights = np.array([1 / counts[case.source] for case in cases])

    def loss(constants: Mapping[str, float]) -> float:
        errors = pool.map(partial(_error, constants=constants), cases, chunksize=4)
        return float((weights * np.array(list(errors))).sum() / weights.sum())

    best = dict(START)
    least = loss(best)
    for _ in range(ROUNDS):
        for name, values in TRIED.items():
            for value in values:
                trial = best | {name: value}
                if value != best[name] and (found := loss(trial)) < least:
                    best, least = trial, found
    return best, f"{len(cases)} first tokens in closed loops: {', '.join(sorted(counts))}"


def _error(case: Case, constants: Mapping[str, float]) -> float:
    """Capped logarithmic errors of a row: of its first token, and of the others."""
    setup, _ = closed_form(case, "TTFT")
    try:
        times = simulated(setup, case, **constants)
    except FarthingError:
        return TTFT_CAP
    total = 0.0
    for time, column, cap in zip(times, COLUMNS, (TTFT_CAP, TPOT_CAP), strict=True):
        measured = number(case, column) / 1e3
        if measured > 0:
            total += min(abs(float(np.log(time / measured))), cap)
    return total


def write(found: Mapping[str, tuple[Mapping[str, float], str]]) -> None:
    """Set the constants in the rows of these engines; keep all else."""
    reader = csv.DictReader(TABLE.read_text("utf-8").splitlines())
    names = list(reader.fieldnames or [])
    out = io.StringIO()
    writer = csv.DictWriter(out, names, lineterminator="\n")
    writer.writeheader()
    for row in reader:
        for engine in row["engines"].split():
            if engine in found:
                best, basis = found[engine]
                row |= {
                    "request_ms": f"{best['request_s'] * 1e3:g}",
                    "reading_kernel_us": f"{best['reading_kernel_s'] * 1e6:g}",
                    "stream_ms": f"{best['stream_s'] * 1e3:g}",
                    "reading_factor": f"{best['reading_factor']:g}",
                    "fitted_on": basis,
                }
        writer.writerow(row)
    TABLE.write_text(out.getvalue(), "utf-8")
