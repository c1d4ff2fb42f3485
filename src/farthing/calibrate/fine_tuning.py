"""Constants of engines that run plain PyTorch modules: adapters, encoders, small models."""

from __future__ import annotations

import csv
import dataclasses
import io
import math
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from farthing import catalog
from farthing.calibrate.search import least
from farthing.errors import FarthingError
from farthing.estimate.training import TrainingRun, training_run
from farthing.evidence.fine_tuning import fine_tuning_row, trains_adapters
from farthing.evidence.load import shipped
from farthing.evidence.outcome import number
from farthing.predict.device import device
from farthing.predict.training_memory import driver_bytes
from farthing.records.comparison import Case
from farthing.records.engine_efficiency import NO_OVERHEAD, EngineEfficiency
from farthing.records.hardware import Accelerator
from farthing.units import GIB

TABLE: Final = Path(catalog.__file__).parent / "data" / "efficiency" / "engines.csv"

START: Final = {
    "elementwise_factor": 2.0,
    "matmul_share": 0.9,
    "conversion_share": 0.3,
    "prefill_launch_s": 20e-6,
}
BOUNDS: Final = {
    "elementwise_factor": (1.0, 6.0),
    "matmul_share": (0.3, 1.0),
    "conversion_share": (0.05, 1.0),
    "prefill_launch_s": (1e-6, 100e-6),
}


SOURCES: Final = ("QwenLM/Qwen finetuning profile", "Lambda Labs deeplearning-benchmark")

UNITS: Final = {"prefill_launch_s": ("prefill_launch_us", 1e6)}
"""Columns whose name or unit is not the field's."""

EAGER: Final = (
    "pytorch-ddp",
    "hf-trainer",
    "litgpt",
    "torchtune",
    "llama-factory",
    "axolotl",
    "deepspeed",
    "nanogpt",
)
"""Engines that run plain PyTorch modules: one kernel an operation, issued by the same host code."""


def fit() -> None:
    """Fit the constants of plain PyTorch, and write them into the table for every engine that runs it."""
    rows = {source: [(case, run) for case, run in _runs(source) if _is_plain(case)] for source in SOURCES}
    found = _fitted(rows, START)
    counts = " and ".join(f"{len(each)} of {source}" for source, each in rows.items())
    for engine in EAGER:
        _write(engine, found, f"step times, plain PyTorch: {counts}")
    _write_reserved()


def fit_reserved() -> tuple[float, int]:
    """Blocks that the allocator keeps, over the bytes in use: a median, and its rows.

    Rows whose memory is all of one host's cards, and those that train embeddings as well, are left out.
    """
    ratios = []
    for case in shipped("training"):
        measured = number(case, "mem_gb_per_gpu")
        if case.source != SOURCES[0] or not measured > 0 or not trains_adapters(case):
            continue
        if case.cells.get("n_gpus") != "1" or "(emb)" in case.cells["model"]:
            continue
        row = fine_tuning_row(case)
        memory = training_run(row.model, row.cluster, row.workload, row.plan, ideal=False).memory()
        outside = float(driver_bytes(row.plan))
        ratios.append((measured * GIB - outside) / (float(memory.total_bytes) - outside))
    return max(statistics.median(ratios) - 1, 0.0), len(ratios)


def _write_reserved() -> None:
    """Put the share into the row that holds for every engine: PyTorch has one allocator."""
    share, rows = fit_reserved()
    lines = list(csv.DictReader(io.StringIO(TABLE.read_text("utf-8"))))
    lines[0]["reserved_share"] = f"{share:.3g}"
    lines[0]["fitted_on"] = f"none: an engine that costs nothing; reserved share: {rows} runs of {SOURCES[0]}"
    _rewrite(lines)


def _fitted(
    rows: Mapping[str, Sequence[tuple[Case, TrainingRun]]],
    start: Mapping[str, float],
) -> dict[str, float]:
    """The constants with the least mean root of the absolute logarithmic error, sources weighted equally."""

    def loss(constants: Mapping[str, float]) -> float:
        return float(np.mean([_error(found, constants) for found in rows.values()]))

    return least(loss, start, {name: BOUNDS[name] for name in start})[0]


def _error(rows: Sequence[tuple[Case, TrainingRun]], constants: Mapping[str, Any]) -> float:
    own = dataclasses.replace(NO_OVERHEAD, **constants)
    errors = [math.log(_step_s(run, own) / number(case, "step_time_s")) for case, run in rows]
    # The root keeps rows that something else decides from deciding the constants.
    return float(np.mean(np.sqrt(np.abs(errors))))


def _is_plain(case: Case) -> bool:
    """Adapters, and whatever ran on one card: no network decides their time."""
    return trains_adapters(case) or case.cells.get("n_gpus") == "1"


def _runs(source: str) -> list[tuple[Case, TrainingRun]]:
    """The rows of a source with a step time, and their checked plans."""
    found = []
    for case in shipped("training"):
        if case.source != source or not number(case, "step_time_s") > 0:
            continue
        try:
            row = fine_tuning_row(case)
            run = training_run(row.model, row.cluster, row.workload, row.plan, ideal=False)
        except FarthingError:
            continue
        found.append((case, run))
    return found


def _card(run: TrainingRun) -> Accelerator:
    return run.about.cluster.groups[0].accelerator


def _step_s(run: TrainingRun, own: EngineEfficiency) -> float:
    """Step time with other constants of the engine [s]."""
    compute = catalog.number_format(run.plan.compute_format).compute
    cards = tuple(
        device(group.accelerator, compute, constants, own)
        for group, constants in zip(run.about.cluster.groups, run.about.efficiencies, strict=True)
    )
    about = dataclasses.replace(run.about, devices=cards, overheads=own)
    return float(dataclasses.replace(run, about=about).time().step_s)


def _write(engine: str, found: Mapping[str, float], fitted_on: str) -> None:
    """Put an engine's row into the table, in the place of the one before, or at the end."""
    lines = list(csv.DictReader(io.StringIO(TABLE.read_text("utf-8"))))
    names = {"engine": engine, "architecture": "*", "format": "*"}
    cells = {
        UNITS.get(name, (name, 1))[0]: f"{value * UNITS.get(name, (name, 1))[1]:.3g}"
        for name, value in found.items()
    }
    new = dict.fromkeys(lines[0], "") | names | cells | {"fitted_on": fitted_on}
    places = [i for i, line in enumerate(lines) if all(line[name] == value for name, value in names.items())]
    place = places[0] if places else len(lines)
    lines[place : place + 1] = [new]
    _rewrite(lines)


def _rewrite(lines: Sequence[Mapping[str, str]]) -> None:
    """Write the whole table, and read it again."""
    out = io.StringIO()
    writer = csv.DictWriter(out, list(lines[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    TABLE.write_text(out.getvalue(), "utf-8")
    catalog.load.table.cache_clear()
    catalog.engine_efficiency.cache_clear()
