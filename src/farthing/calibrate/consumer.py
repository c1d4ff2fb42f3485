"""Fits how well llama.cpp, MLX and vLLM use each maker's consumer chips."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, fields, replace
from importlib import resources
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from farthing import catalog
from farthing.calibrate.consumer_groups import GROUPS, Group, Key
from farthing.catalog.load import si_field
from farthing.errors import FarthingError
from farthing.evidence.consumer import GROUPS as METRICS
from farthing.evidence.consumer import Setup, rate_of, setup_of, stated_files
from farthing.evidence.load import shipped
from farthing.evidence.outcome import number
from farthing.evidence.split import is_fitted
from farthing.predict.compute import VECTOR_ROWS
from farthing.records.comparison import Case
from farthing.records.engine_efficiency import EngineEfficiency

_WORST: Final = (3.0, 1.0, 0.5, 0.5)
"""Logarithm of the error beyond which a row counts no more, in each sweep.

What stays so far off ran something else than its row says.
"""

_SHARES: Final = tuple(float(share) for share in np.geomspace(0.05, 1.3, 30))
_FACTORS: Final = tuple(float(factor) for factor in np.geomspace(0.5, 12.0, 33))
_OPERATIONS: Final = (0.0, *(float(flop) for flop in np.geomspace(1.0, 300.0, 41)))
_TIMES: Final = (0.0, *(float(time) for time in np.geomspace(2e-6, 0.3, 36)))
_KERNEL_TIMES: Final = (0.0, *(float(time) for time in np.geomspace(2e-7, 5e-5, 25)))
_TILES: Final = (1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0)
_GRIDS: Final[Mapping[str, Sequence[float]]] = {
    "kernel_factor": _FACTORS,
    "vector_flop": _OPERATIONS,
    "request_s": _TIMES,
    "step_s": _TIMES,
    "sequence_s": _TIMES,
    "exchange_s": _TIMES,
    "ungraphed_kernel_s": _KERNEL_TIMES,
    "expert_kernels": tuple(float(count) for count in range(0, 49, 2)),
    "unit_tiles": _TILES,
}


@dataclass(frozen=True, slots=True)
class _Row:
    case: Case
    setup: Setup
    measured: float
    weight: float


def fit() -> None:
    """Fit every group and write its rows into the table of engines' constants."""
    found: dict[str, dict[Key, EngineEfficiency]] = {"": {}}
    with ProcessPoolExecutor() as pool:
        while waiting := [group for group in GROUPS if group.title not in found]:
            ready = [group for group in waiting if group.rests_on in found]
            titles, below = [group.title for group in ready], [found[group.rests_on] for group in ready]
            found |= zip(titles, pool.map(_fitted_alone, titles, below), strict=True)
    _write({key: row for group in GROUPS for key, row in found[group.title].items()})


def _fitted_alone(title: str, below: Mapping[Key, EngineEfficiency]) -> dict[Key, EngineEfficiency]:
    """Those that a group rests on, and its own."""
    group = next(group for group in GROUPS if group.title == title)
    rows = [row for row in _rows(shipped("consumer")) if group.picks(row.setup)]
    table = {
        key: row for row in catalog.engine_efficiencies().values() if (key := _key(row)) not in _own_keys()
    }
    return {**below, **_fitted(group, _weighted(rows), {**table, **below})}


def _own_keys() -> set[Key]:
    """Rows of the table that are fitted here."""
    return {key for group in GROUPS for key, _ in group.constants}


def _key(row: EngineEfficiency) -> Key:
    return row.engine, row.architecture, row.format


def _rows(cases: Sequence[Case]) -> list[_Row]:
    files = stated_files(cases)
    found = []
    for case in cases:
        if not is_fitted(case) or case.cells.get("metric") not in METRICS:
            continue
        try:
            setup = setup_of(case, files)
        except FarthingError:
            continue
        row = _Row(case, setup, number(case, "value"), 1.0)
        # A chip's constants come from runs that no network takes part in.
        if setup.cluster.hosts == 1 and not _reads_unknown_share(row):
            found.append(row)
    return found


def _reads_unknown_share(row: _Row) -> bool:
    """Whether a step reads a part of a file that mixes formats by tensor ("UD"): its size tells the mean."""
    mixed = row.setup.model.is_moe and "UD-" in row.case.cells.get("model", "")
    return mixed and _pass_tokens(row) <= VECTOR_ROWS


_MOST: Final = 8
"""Rows of a chip, model and format of a source that are fitted at most: more add time, not knowledge."""


def _weighted(rows: Sequence[_Row]) -> list[_Row]:
    """Every chip, model and format of a source has the same say, however many rows it has."""
    kinds: dict[tuple[str, ...], list[_Row]] = {}
    for row in rows:
        setup = row.setup
        name = row.case.source, setup.card.id, setup.model.id, setup.plan.weight_format.partition("@")[0]
        kinds.setdefault(name, []).append(row)
    chosen: list[_Row] = []
    for mine in kinds.values():
        step = max(len(mine) / _MOST, 1.0)
        few = [mine[int(n * step)] for n in range(min(len(mine), _MOST))]
        chosen += [replace(row, weight=len(few) ** -0.5) for row in few]
    return chosen


def _fitted(
    group: Group, rows: Sequence[_Row], table: Mapping[Key, EngineEfficiency]
) -> dict[Key, EngineEfficiency]:
    """Coordinate search over grids, three times through, then once finer."""
    note = f"{len(rows)} rows of {', '.join(sorted({row.case.source for row in rows}))}"
    trial: dict[Key, EngineEfficiency] = {}
    for key, _ in group.constants:
        trial[key] = EngineEfficiency(engine=key[0], architecture=key[1], format=key[2], fitted_on=note)
    for key, name, word in group.fixed:
        row = trial.get(key) or EngineEfficiency(
            engine=key[0], architecture=key[1], format=key[2], fitted_on="none: which kernels the engine has"
        )
        trial[key] = replace(row, **{name: word})  # type: ignore[arg-type]
    names = [(key, name) for key, constants in group.constants for name in constants]
    for key, name in names:
        trial[key] = replace(trial[key], **{name: _start(name)})  # type: ignore[arg-type]
    weights = np.array([row.weight for row in rows])
    errors = _errors(rows, {**table, **trial})
    for sweep, worst in enumerate(_WORST):
        for moved in [[name] for name in names] + _together(names):
            touched = [i for i, row in enumerate(rows) if any(_touches(*name, row) for name in moved)]
            mine, share = [rows[i] for i in touched], weights[touched]
            best, reached = errors[touched], np.minimum(errors[touched], worst) @ share
            for values in _values(trial, moved, sweep):
                tried = dict(trial)
                for (key, name), value in zip(moved, values, strict=True):
                    tried[key] = replace(tried[key], **{name: _rounded(value)})  # type: ignore[arg-type]
                found = _errors(mine, {**table, **tried})
                loss = np.minimum(found, worst) @ share
                if loss < reached - 1e-9 and np.isfinite(found).all():
                    best, trial, reached = found, tried, loss
            errors[touched] = best
    return trial


_MANY_ONLY: Final = ("matmul_share", "attention_share", "expert_share", "request_s", "unit_tiles")
_FEW_ONLY: Final = ("vector_flop",)


def _touches(key: Key, name: str, row: _Row) -> bool:
    """Whether a constant can change a row: tiles and vector units do not where few and many tokens pass."""
    many = _pass_tokens(row) > VECTOR_ROWS
    if name in (_FEW_ONLY if many else _MANY_ONLY) and row.case.cells["metric"] != "total_tok_s":
        return False
    only = EngineEfficiency(engine=key[0], architecture=key[1], format=key[2], matmul_share=0.5)
    weights = catalog.number_format(row.setup.plan.weight_format)
    return catalog.laid_over([only], row.setup.plan.engine, row.setup.card, weights).matmul_share == 0.5


def _pass_tokens(row: _Row) -> float:
    """Tokens of a pass: of a decode step all sequences', of a prompt a chunk's."""
    load = row.setup.workload
    if row.case.cells["metric"] == "decode_tok_s":
        return load.batch_size
    return min(load.batch_size * load.prompt_tokens, row.setup.plan.chunk_tokens or math.inf)


Name = tuple[Key, str]
"""A constant of a row."""


def _together(names: Sequence[Name]) -> list[list[Name]]:
    """Shares of all products and of the experts' alone: one makes up for the other."""
    experts = [name for name in names if name[1] == "expert_share"]
    return [[name, expert] for expert in experts for name in names if name[1] == "matmul_share"]


def _values(trial: Mapping[Key, EngineEfficiency], moved: Sequence[Name], sweep: int) -> list[list[float]]:
    """Values to try for one constant, or for two whose product stays."""
    now = [getattr(trial[key], name) for key, name in moved]
    if len(moved) == 2:
        return [[now[0] * step, now[1] / step] for step in np.geomspace(0.25, 4.0, 21)]
    if sweep == len(_WORST) - 1:
        return [[now[0] * step] for step in np.geomspace(0.92, 1.09, 9)]
    return [[value] for value in _GRIDS.get(moved[0][1], _SHARES)]


def _start(name: str) -> float:
    if name in ("matmul_share", "attention_share"):
        return 0.5
    if name == "kernel_factor":
        return 2.0
    return 0.0 if name in ("vector_flop", "expert_kernels") or name.endswith("_s") else 1.0


def _rounded(value: float) -> float:
    return float(f"{value:.3g}")


def _errors(rows: Sequence[_Row], table: Mapping[Key, EngineEfficiency]) -> NDArray[np.float64]:
    """Absolute logarithm of each error; infinite where a rate would pass its peak."""
    known: dict[tuple[str, str, str], EngineEfficiency] = {}
    errors = np.empty(len(rows))
    for index, row in enumerate(rows):
        setup = row.setup
        name = (setup.plan.engine, setup.card.id, setup.plan.weight_format.partition("@")[0])
        if name not in known:
            weights = catalog.number_format(setup.plan.weight_format)
            known[name] = catalog.laid_over(table.values(), setup.plan.engine, setup.card, weights)
            if _passes_peak(setup, known[name]):
                return np.full(len(rows), math.inf)
        predicted = rate_of(row.case, setup, constants=known[name])
        errors[index] = abs(math.log(predicted / row.measured))
    return errors


def _passes_peak(setup: Setup, engine: EngineEfficiency) -> bool:
    own = catalog.efficiency(setup.card)
    memory = max(engine.memory_share, engine.kv_share) * own.memory_share
    widest = max(own.matmul_share, own.matmul_share_8bit, own.matmul_share_4bit)
    return max(memory, engine.matmul_share * widest, engine.attention_share * own.attention_share) > 1


def _write(rows: Mapping[Key, EngineEfficiency]) -> None:
    """Put rows in the place of those with the same keys."""
    file = Path(str(resources.files("farthing.catalog") / "data" / "efficiency" / "engines.csv"))
    reader = csv.DictReader(io.StringIO(file.read_text("utf-8")))
    columns = list(reader.fieldnames or [])
    kept = [
        cells
        for cells in reader
        if (cells["engine"], cells["architecture"], cells["format"]) not in _own_keys()
    ]
    mine = [_cells(row, columns) for row in rows.values()]
    out = io.StringIO()
    writer = csv.DictWriter(out, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows([*kept, *mine])
    file.write_text(out.getvalue(), "utf-8")


def _cells(row: EngineEfficiency, columns: Iterable[str]) -> dict[str, str]:
    values = {field.name: getattr(row, field.name) for field in fields(row)}
    cells = {}
    for column in columns:
        name, factor = si_field(column)
        value = values[name]
        is_number = isinstance(value, float)
        cells[column] = value if not is_number else "" if math.isnan(value) else f"{value / factor:.3g}"
    return cells
