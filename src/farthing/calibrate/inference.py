"""Fits the constants of serving engines on data-centre accelerators to whole-model measurements.

A search over the weighted mean of absolute logarithmic errors; a slight pull towards an engine that costs
nothing leaves a constant at its ideal where the measurements do not tell.
"""

from __future__ import annotations

import csv
import dataclasses
import io
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from farthing import catalog
from farthing.calibrate.search import least, rounded
from farthing.catalog.load import si_field, table
from farthing.evidence.inference import compare
from farthing.evidence.inference_setup import accelerator_of, engine_of, weight_format
from farthing.evidence.load import shipped
from farthing.evidence.split import is_fitted
from farthing.records.comparison import Case, Comparison
from farthing.records.engine_efficiency import EngineEfficiency

TABLE: Final = Path(catalog.__file__).parent / "data" / "efficiency" / "engines.csv"

FIRST_GUESS: Final = {
    "prefill_launch_s": 5e-6,
    "decode_launch_s": 20e-6,
    "step_s": 1e-3,
    "sequence_s": 20e-6,
    "request_s": 3e-3,
    "exchange_s": 5e-6,
}
"""Where the search for a time begins [s]."""

CLIPPED: Final = math.log(3.0)
"""Errors beyond a factor of three count as one: a broken run must not pull a constant."""

MOST_CASES: Final = 100
"""Cases of one fit, taken at even distances."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """A row of the table and the measurements that determine it.

    ``fields`` is what is fitted, on cases with weights of ``formats`` on ``cards`` (empty for all), and
    ``fixed`` what is set beforehand; ``start`` is where the search begins.
    """

    engine: str
    architecture: str = "*"
    format: str = "*"
    fields: tuple[str, ...] = ()
    fixed: Mapping[str, float] = dataclasses.field(default_factory=dict)
    cards: tuple[str, ...] = ()
    formats: tuple[str, ...] = ("fp16", "bf16")
    start: Mapping[str, float] = dataclasses.field(default_factory=dict)


HOST: Final = ("step_s", "sequence_s", "exchange_s")
READS: Final = ("memory_share", "kv_share")
VECTOR: Final = "vector_attention_flop_per_s"
VECTOR_RATE: Final = 45e9
"""About 25 operations a clock [FLOP/s]: fits of either engine alone give 30 to 58, too close to the other
constants to be told apart."""

NVIDIA: Final = ("ampere", "hopper")

FITS: Final = (
    Fit(
        engine="tensorrt-llm-2024",
        fields=("step_s", "exchange_s", *READS),
        fixed={"tensor_attention_group": 8.0, VECTOR: VECTOR_RATE},
        cards=NVIDIA,
    ),
    Fit(engine="vllm-2024", fields=(*HOST, *READS), fixed={VECTOR: VECTOR_RATE}, cards=NVIDIA),
    Fit(engine="vllm-2024", architecture="cdna2", fields=(*HOST, "matmul_share", *READS)),
    Fit(engine="vllm-2024", architecture="cdna3", fields=(*HOST, "matmul_share", *READS)),
    Fit(engine="vllm-2024", architecture="xe-hpc", fields=("decode_launch_s", *HOST, "matmul_share", *READS)),
    Fit(engine="vllm-2024", format="gptq", fields=("memory_share", "matmul_share")),
    Fit(engine="vllm-2024", format="awq", fields=("memory_share", "matmul_share")),
    Fit(
        engine="vllm-2023",
        fields=("decode_launch_s", "step_s", "sequence_s"),
        fixed={VECTOR: VECTOR_RATE, "exchange_s": 5e-6},
        start={"decode_launch_s": 50e-6, "step_s": 5e-3},
        formats=(),
    ),
    Fit(engine="deepspeed-inference", fields=(*HOST, *READS), cards=NVIDIA),
    Fit(engine="optimum-habana", fields=(*HOST, "matmul_share", *READS)),
    Fit(
        engine="transformers",
        fields=("decode_launch_s", *READS),
        cards=("ampere",),
        start={"decode_launch_s": 100e-6, "kv_share": 0.05},
    ),
    Fit(
        engine="transformers",
        architecture="hopper",
        fields=("decode_launch_s",),
        start={"decode_launch_s": 70e-6},
    ),
    Fit(engine="transformers", format="gptq", fields=("memory_share", "matmul_share")),
    Fit(engine="mlc-llm", fields=("step_s", "exchange_s", "memory_share"), formats=()),
    Fit(engine="exllamav2", fields=("step_s", "memory_share"), formats=()),
    Fit(engine="llama.cpp", architecture="cdna3", fields=("step_s", "memory_share"), formats=()),
)
"""In this order; rows of an architecture or a format lie over the engine's own. Mixtures are left out:
benchmarks that repeat one prompt send all of its copies to the same few experts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Derived:
    """A row that nobody measured alone: another one with some constants scaled or set, and why."""

    engine: str
    like: str
    why: str
    architecture: str = "*"
    changed: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    fields: tuple[str, ...] = ()


DERIVED: Final = (
    Derived(
        engine="tensorrt-llm-2023",
        like="tensorrt-llm-2024",
        why="the release after it",
        changed={"tensor_attention_group": math.nan},
    ),
    Derived(
        engine="fastertransformer",
        like="tensorrt-llm-2024",
        why="its successor",
        changed={"tensor_attention_group": math.nan},
    ),
    Derived(
        engine="lmdeploy", like="vllm-2024", why="its kernels are as good", fields=("kv_share", "exchange_s")
    ),
    Derived(engine="tgi", like="vllm-2024", why="an engine of the same time"),
)
"""In this order, after the fits."""


def selected(fit: Fit, cases: Sequence[Case]) -> list[Case]:
    """The cases that determine a row: fitted sources, clean or partly documented, one way of splitting."""
    found = []
    for case in cases:
        cells = case.cells
        if not is_fitted(case) or cells["notes"].startswith("q=C") or "likely not" in cells["notes"]:
            continue
        card_id = accelerator_of(case)
        engine = engine_of(cells["engine"], cells["engine_version"], case.source, card_id)
        if engine != fit.engine or not card_id:
            continue
        card = catalog.accelerator(card_id)
        if fit.architecture != "*" and fit.architecture not in (card.architecture, card.kind):
            continue
        if fit.cards and card.architecture not in fit.cards:
            continue
        stored = catalog.number_format(weight_format(cells, engine))
        if fit.format != "*" and fit.format not in (stored.id, stored.family):
            continue
        if fit.format == "*" and fit.formats and stored.id not in fit.formats:
            continue
        if cells["pp"] not in ("", "1") or cells["ep"] not in ("", "1") or not cells["model_id"]:
            continue
        if catalog.model(cells["model_id"]).is_moe:
            continue
        found.append(case)
    step = max(1, math.ceil(len(found) / MOST_CASES))
    return found[::step]


@contextmanager
def trying(row: EngineEfficiency) -> Iterator[None]:
    """Predict with a row laid over the table."""
    shipped_rows, merged = catalog.engine_efficiencies, catalog.engine_efficiency
    key = (row.engine, row.architecture, row.format)
    rows = {
        name: other
        for name, other in shipped_rows().items()
        if (other.engine, other.architecture, other.format) != key
    }
    rows["trial"] = row
    known: dict[Any, EngineEfficiency] = {}

    def trial(engine: str, card: Any, weights: Any) -> EngineEfficiency:
        asked = (engine, card.id, weights.id)
        if asked not in known:
            known[asked] = merged.__wrapped__(engine, card, weights)
        return known[asked]

    catalog.engine_efficiencies = lambda: rows
    catalog.engine_efficiency = trial  # type: ignore[assignment]
    try:
        yield
    finally:
        catalog.engine_efficiencies, catalog.engine_efficiency = shipped_rows, merged


def loss(
    row: EngineEfficiency, cases: Sequence[Case], weights: NDArray[np.float64], fields: Sequence[str]
) -> float:
    """Weighted mean of clipped absolute logarithmic errors, and the pull towards the ideal."""
    with trying(row):
        found = compare(cases)
    errors = np.array([_error(one) for one in found])
    pull = 0.0
    for field in fields:
        value = getattr(row, field)
        if field.endswith("_share"):
            pull += 0.01 * abs(math.log(value))
        else:
            pull += 0.002 * math.log1p(value / FIRST_GUESS[field])
    return float(np.sum(errors * weights)) + pull


def _error(one: Comparison) -> float:
    return 0.0 if one.reason else min(abs(one.log_error), CLIPPED)


def _weights(cases: Sequence[Case]) -> NDArray[np.float64]:
    """Every model on every number of every card counts the same, however often it was measured."""

    def setup(case: Case) -> tuple[str, ...]:
        cells = case.cells
        return (case.source, cells["model"], cells["gpu"], cells["n_gpus"])

    setups = Counter(map(setup, cases))
    raw = np.array([1 / setups[setup(case)] for case in cases])
    return np.asarray(raw / raw.sum())


def search(fit: Fit, cases: Sequence[Case]) -> EngineEfficiency:
    """The row that fits best."""
    weights = _weights(cases)

    def row(constants: Mapping[str, float]) -> EngineEfficiency:
        named = {"engine": fit.engine, "architecture": fit.architecture, "format": fit.format}
        # One host issues the kernels of either pass.
        launch = {"prefill_launch_s": constants["decode_launch_s"]} if "decode_launch_s" in constants else {}
        return EngineEfficiency(**named, **{**fit.fixed, **launch, **constants})  # type: ignore[arg-type]

    start = {field: fit.start.get(field, FIRST_GUESS.get(field, 0.9)) for field in fit.fields}
    bounds = {
        field: (0.01, 1.0)
        if field.endswith("_share")
        else (FIRST_GUESS[field] / 100, FIRST_GUESS[field] * 100)
        for field in fit.fields
    }
    found, _ = least(lambda constants: loss(row(constants), cases, weights, fit.fields), start, bounds)
    return dataclasses.replace(row(found), fitted_on=_basis(cases))


def _basis(cases: Sequence[Case]) -> str:
    counts = Counter(case.source for case in cases)
    return "; ".join(f"{count} measurements of {source}" for source, count in counts.items())


def write(row: EngineEfficiency) -> None:
    """Put a row into the table, in the place of the one with its names, or at the end of its engine's."""
    lines = list(csv.DictReader(io.StringIO(TABLE.read_text("utf-8"))))
    header = list(lines[0])
    new = {column: _cell(row, column) for column in header}
    names = ("engine", "architecture", "format")
    places = [i for i, line in enumerate(lines) if all(line[name] == new[name] for name in names)]
    if places:
        # Others may have filled the fields that this row leaves to them.
        lines[places[0]] |= {column: value for column, value in new.items() if value}
    else:
        last = max(
            (i for i, line in enumerate(lines) if line["engine"] == row.engine), default=len(lines) - 1
        )
        lines.insert(last + 1, new)
    out = io.StringIO()
    writer = csv.DictWriter(out, header, lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    TABLE.write_text(out.getvalue(), "utf-8")
    table.cache_clear()
    catalog.engine_efficiency.cache_clear()


def _cell(row: EngineEfficiency, column: str) -> str:
    name, factor = si_field(column)
    value = getattr(row, name)
    if isinstance(value, str):
        return value
    return "" if math.isnan(value) else f"{value / factor:.3g}"


def _row(engine: str, architecture: str = "*") -> EngineEfficiency:
    """A row of the table as it stands."""
    rows = catalog.engine_efficiencies().values()
    key = (engine, architecture, "*")
    return next(row for row in rows if (row.engine, row.architecture, row.format) == key)


def derive(rule: Derived) -> EngineEfficiency:
    """The row of a rule, from the table as it stands."""
    like = _row(rule.like)
    if rule.fields:
        kept = {field: getattr(like, field) for field in rule.fields}
        like = EngineEfficiency(**kept)
    return dataclasses.replace(
        like,
        **rule.changed,
        engine=rule.engine,
        architecture=rule.architecture,
        fitted_on=f"none: as {rule.like}, {rule.why}",
    )


def hosts_of_hopper() -> EngineEfficiency:
    """vLLM of 2023 on Hopper: its hosts issue kernels as much faster as they do for Transformers."""
    faster = _row("transformers", "hopper").decode_launch_s / _row("transformers").decode_launch_s
    launch = rounded(_row("vllm-2023").decode_launch_s * faster)
    return EngineEfficiency(
        engine="vllm-2023",
        architecture="hopper",
        prefill_launch_s=launch,
        decode_launch_s=launch,
        fitted_on="none: hosts of Hopper cards are as much faster as with transformers",
    )


def fit(engines: Sequence[str] = ()) -> None:
    """Fit every row in order, and then the rows that follow from others."""
    cases = shipped("inference")
    for one in FITS:
        if engines and one.engine not in engines:
            continue
        mine = selected(one, cases)
        if mine:
            write(search(one, mine))
    write(hosts_of_hopper())
    for rule in DERIVED:
        write(derive(rule))
