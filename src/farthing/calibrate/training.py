"""Fits what training adds to the kernels' constants: clocks of long runs, and the habits of frameworks."""

from __future__ import annotations

import csv
import math
import re
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from typing import Any, Final

from farthing import catalog
from farthing.calibrate.search import least, rounded
from farthing.catalog import load
from farthing.estimate.subject import storage_format
from farthing.estimate.training import TrainingRun, training_run
from farthing.evidence.fine_tuning import is_fine_tuning
from farthing.evidence.load import shipped
from farthing.evidence.training import compare
from farthing.evidence.training_rows import training_row
from farthing.predict.device import device
from farthing.records.engine_efficiency import EngineEfficiency

VTRAIN_NODES: Final = "vTrain ground truth (multi-node)"
VTRAIN_HOST: Final = "vTrain ground truth (single-node)"
NEMO: Final = "NVIDIA NeMo docs performance summary 24.07"
NEMO_LONG: Final = "NVIDIA NeMo docs long sequence performance"
SIMUMAX: Final = "MooreThreads SimuMax B200 release table (measured)"
FOUNDRY: Final = "MosaicML llm-foundry benchmarking README"

CLOCKS: Final = {
    "ampere": (VTRAIN_NODES,),
    "hopper": (NEMO,),
    "blackwell": (SIMUMAX, NEMO_LONG),
}
"""Sources that tell the share of a short benchmark's rate that an architecture keeps up."""

HOST: Final = {"prefill_launch_s": 5e-5, "step_s": 2e-2}

START_CLOCK: Final = 0.9

SHORT_SEQUENCE_TOKENS: Final = 16_384
"""Up to here products and not attention set the pace."""

BOUNDS: Final = {
    "prefill_launch_s": (1e-6, 2e-4),
    "step_s": (1e-4, 0.2),
    "elementwise_factor": (1.0, 4.0),
    "attention_share": (0.2, 1.2),
    "matmul_share": (0.5, 1.0),
}

COLUMNS: Final = {
    "matmul_share": 1.0,
    "attention_share": 1.0,
    "elementwise_factor": 1.0,
    "prefill_launch_us": 1e-6,
    "step_us": 1e-6,
}
"""Columns of ``engines.csv`` that this module fills, and the SI value of their unit."""

MEGATRON: Final = ("megatron-lm", "nemo", "gpt-neox")
"""Engines whose host side is Megatron's: they issue kernels at its pace."""

PYTORCH: Final = ("torchtitan", "pytorch-fsdp", "fms-fsdp")
"""Engines of the PyTorch ecosystem that compile the passes; their attention is PyTorch's own."""

MODULES: Final = ("internevo", "colossal-ai", "nanotron")
"""Engines that run PyTorch's modules as they are, with fused attention, as llm-foundry does."""

EVERY: Final = 3
"""Of many rows that are nearly alike, every third is enough."""

DATA: Final = Path(str(resources.files("farthing.catalog"))) / "data" / "efficiency"


@dataclass(frozen=True, slots=True)
class Measured:
    """A measured run, and the seconds of one of its steps."""

    source: str
    architecture: str
    engine: str
    run: TrainingRun
    step_s: float

    def ratio(self, *, clock: float = 1.0, **engine: Any) -> float:
        """Predicted over measured, with other constants: ``clock`` is a factor on the rates."""
        about = self.run.about
        own: EngineEfficiency = replace(about.overheads, **engine)
        group = about.cluster.groups[0]
        compute = self.compute
        card = device(group.accelerator, compute, about.efficiencies[0], own)
        card = replace(
            card,
            matmul_share=min(card.matmul_share * clock, 1.0),
            attention_share=min(card.attention_share * clock, 1.0),
        )
        other = replace(self.run, about=replace(about, overheads=own, devices=(card,)))
        return float(other.time().step_s) / self.step_s

    @property
    def compute(self) -> str:
        """Format of the products."""
        return storage_format(self.run.plan.compute_format, "activations").compute


def measured_runs(sources: Iterable[str]) -> list[Measured]:
    """The timed rows of sources that can be predicted."""
    wanted = set(sources)
    found = []
    for case in shipped("training"):
        if case.source not in wanted or is_fine_tuning(case):
            continue
        timed = [one for one in compare([case]) if one.quantity != "mem_gb_per_gpu" and not one.reason]
        if not timed:
            continue
        row = training_row(case)
        run = training_run(row.model, row.cluster, row.workload, row.plan, ideal=False)
        first = timed[0]
        slower = math.log(first.measured / first.predicted) * (-1 if first.rate else 1)
        found.append(
            Measured(
                case.source,
                row.cluster.groups[0].accelerator.architecture,
                row.plan.engine,
                run,
                float(run.time().step_s) * math.exp(slower),
            )
        )
    return found


def fit() -> None:
    """Rewrite sustained shares in ``architectures.csv`` and the training rows of ``engines.csv``."""
    # From the same start each time, so that the result does not depend on what the tables held.
    _write_engines([{"engine": "megatron-deepspeed", **HOST, "fitted_on": ""}])
    _write_engines([{"engine": engine, **HOST, "step_s": 0.0, "fitted_on": ""} for engine in MEGATRON])
    _write_engines(
        [
            {"engine": "nemo", "architecture": architecture, "attention_share": 1.0, "fitted_on": ""}
            for architecture in ("hopper", "blackwell")
        ]
    )
    _write_clocks({architecture: (START_CLOCK, []) for architecture in CLOCKS})
    for _ in range(2):
        clocks = {}
        for architecture, sources in CLOCKS.items():
            rows = [
                one
                for one in measured_runs(sources)
                if one.architecture == architecture
                and one.run.workload.sequence_tokens <= SHORT_SEQUENCE_TOKENS
            ]
            held = catalog.efficiencies()[architecture].sustained_share
            clocks[architecture] = (held * fit_clock(rows), rows)
        _write_clocks(clocks)
        _write_engines(fit_host(measured_runs([VTRAIN_HOST])[::EVERY]))
    _write_engines(fit_attention(measured_runs([NEMO_LONG])))
    _write_engines(fit_pytorch(measured_runs([FOUNDRY])))


def fit_host(rows: Sequence[Measured]) -> list[dict[str, Any]]:
    """Host times of Megatron: of a kernel, and of a step."""

    def loss(constants: Mapping[str, float]) -> float:
        return _spread(rows, constants)

    found, _ = least(loss, HOST, {name: BOUNDS[name] for name in HOST})
    basis = f"{len(rows)} runs on one host of vTrain"
    first = {"engine": "megatron-deepspeed", **found, "fitted_on": basis}
    others = [
        {
            "engine": engine,
            "prefill_launch_s": found["prefill_launch_s"],
            "fitted_on": "as megatron-deepspeed",
        }
        for engine in MEGATRON
    ]
    return [first, *others]


def fit_clock(rows: Sequence[Measured]) -> float:
    """Factor on the rates that makes the sources' median ratios 1 on average."""
    low, high = 0.3, 1.6
    for _ in range(24):
        middle = math.sqrt(low * high)
        if _bias(rows, middle) > 0:
            low = middle
        else:
            high = middle
    return math.sqrt(low * high)


def _bias(rows: Sequence[Measured], clock: float) -> float:
    by_source: dict[str, list[float]] = {}
    for one in rows:
        by_source.setdefault(one.source, []).append(math.log(one.ratio(clock=clock)))
    return statistics.mean(statistics.median(logs) for logs in by_source.values())


def fit_attention(rows: Sequence[Measured]) -> list[dict[str, Any]]:
    """Attention of NeMo in training, backward pass included, over that of a prompt."""
    written = []
    for architecture in sorted({one.architecture for one in rows}):
        own = [one for one in rows if one.architecture == architecture]

        def loss(constants: Mapping[str, float], own: Sequence[Measured] = own) -> float:
            return _spread(own, constants)

        found, _ = least(loss, {"attention_share": 1.0}, {"attention_share": BOUNDS["attention_share"]})
        basis = f"{len(own)} runs of NeMo on sequences of 4K to 1M tokens; host as megatron-deepspeed"
        written.append({"engine": "nemo", "architecture": architecture, **found, "fitted_on": basis})
    return written


def fit_pytorch(rows: Sequence[Measured]) -> list[dict[str, Any]]:
    """Kernels of PyTorch's frameworks by architecture: products, attention, and element-wise passes."""
    written = []
    for architecture in sorted({one.architecture for one in rows}):
        own = [one for one in rows if one.architecture == architecture]

        def loss(constants: Mapping[str, float], own: Sequence[Measured] = own) -> float:
            return _spread(own, constants)

        start = {"elementwise_factor": 2.0, "attention_share": 0.6, "matmul_share": 0.9}
        found, _ = least(loss, start, {name: BOUNDS[name] for name in start})
        basis = f"{len(own)} runs of llm-foundry on {own[0].run.about.cluster.groups[0].accelerator.name}"
        written.append({"engine": "llm-foundry", "architecture": architecture, **found, "fitted_on": basis})
        written += [
            {
                "engine": engine,
                "architecture": architecture,
                **found,
                "fitted_on": "as llm-foundry: kernels of PyTorch, one an operation, and fused attention",
            }
            for engine in MODULES
        ]
        written += [
            {
                "engine": engine,
                "architecture": architecture,
                "attention_share": found["attention_share"],
                "fitted_on": "as llm-foundry: attention of PyTorch; passes are compiled",
            }
            for engine in PYTORCH
        ]
    return written


def _spread(rows: Sequence[Measured], constants: Mapping[str, float]) -> float:
    """Mean of the absolute logarithms, outliers cut."""
    return statistics.fmean(min(abs(math.log(one.ratio(**constants))), 0.5) for one in rows)


def _forget() -> None:
    """Read the tables again."""
    load.table.cache_clear()
    catalog.engine_efficiency.cache_clear()
    device.cache_clear()


def _rewritten(file: str, change: Callable[[list[str], list[dict[str, str]]], None]) -> None:
    path = DATA / file
    with path.open(encoding="utf-8", newline="") as source:
        reader = csv.DictReader(source)
        columns, rows = list(reader.fieldnames or []), list(reader)
    change(columns, rows)
    with path.open("w", encoding="utf-8", newline="") as target:
        writer = csv.DictWriter(target, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    _forget()


def _write_engines(constants: Sequence[Mapping[str, Any]]) -> None:
    """Replace or add rows of engines."""

    def change(columns: list[str], rows: list[dict[str, str]]) -> None:
        for new in constants:
            key = (new["engine"], new.get("architecture", "*"), "*")
            row = next((r for r in rows if (r["engine"], r["architecture"], r["format"]) == key), None)
            if row is None:
                row = dict.fromkeys(columns, "") | dict(
                    zip(("engine", "architecture", "format"), key, strict=True)
                )
                rows.append(row)
            for column, unit in COLUMNS.items():
                name = column.replace("_us", "_s")
                if name in new:
                    row[column] = f"{rounded(new[name] / unit):g}"
            row["fitted_on"] = new["fitted_on"]

    _rewritten("engines.csv", change)


def _write_clocks(clocks: Mapping[str, tuple[float, Sequence[Measured]]]) -> None:
    """Put sustained shares into the architectures' rows."""

    def change(columns: list[str], rows: list[dict[str, str]]) -> None:
        for row in rows:
            if row["id"] in clocks:
                clock, runs = clocks[row["id"]]
                row["sustained_share"] = f"{rounded(min(clock, 1.0)):g}"
                names = " and ".join(dict.fromkeys(_short(one.source) for one in runs))
                basis = re.sub(r"; sustained share.*", "", row["fitted_on"])
                row["fitted_on"] = f"{basis}; sustained share: {len(runs)} training runs of {names}"

    _rewritten("architectures.csv", change)


def _short(source: str) -> str:
    return {
        VTRAIN_NODES: "vTrain on several hosts",
        NEMO: "the NeMo 24.07 performance summary",
        NEMO_LONG: "NeMo on long sequences",
        SIMUMAX: "SimuMax",
    }[source]
