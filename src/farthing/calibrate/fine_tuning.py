"""Constants of engines that run plain PyTorch modules: fine-tuning with adapters, encoders and small models."""

from __future__ import annotations

import csv
import dataclasses
import io
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from farthing import catalog
from farthing.calibrate.search import least
from farthing.errors import FarthingError
from farthing.estimate.training import TrainingRun, training_run
from farthing.evidence.fine_tuning import fine_tuning_row, trains_adapters
from farthing.evidence.load import shipped
from farthing.evidence.outcome import number
from farthing.predict.device import device
from farthing.records.comparison import Case
from farthing.records.engine_efficiency import EngineEfficiency
from farthing.records.hardware import Accelerator

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """A row of the table, the measurements that it is fitted to, and the constants that are free."""

    engine: str
    architecture: str
    source: str
    what: str
    rows: Callable[[Case, str], bool]
    free: tuple[str, ...]


def _encoder_on_one_card(case: Case) -> bool:
    return case.cells.get("model_id", "").startswith("bert") and case.cells.get("n_gpus") == "1"


FITS: Final = (
    Fit(
        engine="hf-trainer",
        architecture="*",
        source="QwenLM/Qwen finetuning profile",
        what="adapters on A100",
        rows=lambda case, _: trains_adapters(case),
        free=("elementwise_factor", "matmul_share", "conversion_share", "prefill_launch_s"),
    ),
    Fit(
        engine="pytorch-ddp",
        architecture="*",
        source="Lambda Labs deeplearning-benchmark",
        what="BERT on one card of every architecture but Hopper",
        rows=lambda case, architecture: _encoder_on_one_card(case) and architecture != "hopper",
        free=("elementwise_factor", "matmul_share"),
    ),
    Fit(
        engine="pytorch-ddp",
        architecture="hopper",
        source="Lambda Labs deeplearning-benchmark",
        what="BERT on one H100",
        rows=lambda case, architecture: _encoder_on_one_card(case) and architecture == "hopper",
        free=("matmul_share",),
    ),
)

ALIKE: Final[Mapping[str, tuple[tuple[str, str], ...]]] = {
    "hf-trainer": tuple(
        (engine, "*") for engine in ("litgpt", "torchtune", "llama-factory", "axolotl", "deepspeed", "nanogpt")
    ),
    "pytorch-ddp": (("pytorch-ddp", "blackwell"),),
}
"""Engines and architectures without a fit of their own, and the engine whose last fit they take over."""


def fit() -> None:
    """Fit the constants, and write them and those taken over into the table."""
    cases = [case for case in shipped("training")]
    launch = math.nan
    for one in FITS:
        runs, measured = _runs(one, cases)
        base = catalog.engine_efficiency(one.engine, _card(runs[0]), runs[0].about.weights)
        fixed = EngineEfficiency(engine=one.engine, architecture=one.architecture)
        if "prefill_launch_s" not in one.free and one.architecture == "*":
            # The same host code as of the engine that was fitted before.
            fixed = dataclasses.replace(fixed, prefill_launch_s=launch)
            base = dataclasses.replace(base, prefill_launch_s=launch)

        def loss(
            constants: Mapping[str, float],
            base: EngineEfficiency = base,
            runs: Sequence[TrainingRun] = runs,
            measured: Sequence[float] = measured,
        ) -> float:
            own = dataclasses.replace(base, **constants)
            errors = [math.log(_step_s(run, own) / value) for run, value in zip(runs, measured, strict=True)]
            return float(np.mean(np.abs(errors)))

        found, _ = least(loss, {name: START[name] for name in one.free}, {name: BOUNDS[name] for name in one.free})
        row = dataclasses.replace(fixed, **found, fitted_on=f"{len(runs)} measurements: {one.what}; {one.source}")
        launch = row.prefill_launch_s if "prefill_launch_s" in found else launch
        _write(row)
        for engine, architecture in ALIKE.get(one.engine, ()):
            if architecture == "*" or one.architecture != "*":
                fitted = f"none: as {one.engine}" + (f" on {one.architecture}" if one.architecture != "*" else "")
                _write(dataclasses.replace(row, engine=engine, architecture=architecture, fitted_on=fitted))


def _runs(one: Fit, cases: Sequence[Case]) -> tuple[list[TrainingRun], list[float]]:
    """The checked plans of the rows of a fit, and their measured step times [s]."""
    runs: list[TrainingRun] = []
    measured: list[float] = []
    for case in cases:
        step = number(case, "step_time_s")
        if case.source != one.source or not step > 0:
            continue
        try:
            row = fine_tuning_row(case)
            run = training_run(row.model, row.cluster, row.workload, row.plan, ideal=False)
        except FarthingError:
            continue
        if one.rows(case, _card(run).architecture):
            runs.append(run)
            measured.append(step)
    return runs, measured


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


def _write(row: EngineEfficiency) -> None:
    """Put a row into the table, in the place of the one with its names, or at the end."""
    lines = list(csv.DictReader(io.StringIO(TABLE.read_text("utf-8"))))
    header = list(lines[0])
    new = {column: _cell(row, column) for column in header}
    names = ("engine", "architecture", "format")
    places = [i for i, line in enumerate(lines) if all(line[name] == new[name] for name in names)]
    lines[places[0] if places else len(lines) : (places[0] if places else len(lines)) + 1] = [new]
    out = io.StringIO()
    writer = csv.DictWriter(out, header, lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    TABLE.write_text(out.getvalue(), "utf-8")
    catalog.load.table.cache_clear()
    catalog.engine_efficiency.cache_clear()


def _cell(row: EngineEfficiency, column: str) -> str:
    in_us = column.endswith("_us")
    value = getattr(row, column.removesuffix("_us") + "_s" if in_us else column)
    if isinstance(value, str):
        return value
    return "" if math.isnan(value) else f"{value * 1e6 if in_us else value:.3g}"
