"""Memory, time, power and money of all legal plans, as columns."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from farthing.estimate.cost import CostBasis, Way
from farthing.estimate.engine import refusals
from farthing.estimate.figures import figures
from farthing.estimate.run import Run, run_of
from farthing.estimate.subject import Subject, subject
from farthing.records.hardware import Cluster
from farthing.records.model import Model
from farthing.records.plan import InferencePlan
from farthing.records.search import Limits
from farthing.records.workload import InferenceWorkload
from farthing.search.inference_space import OPEN_CHUNKS, SIZES, Axes, Ints, Mask, open_batches, splits
from farthing.search.table import Column

FIGURES: Final = (
    "ttft_s",
    "batch_prefill_s",
    "tpot_s",
    "tokens_per_s",
    "served_tokens_per_s",
    "paid_tokens_per_s",
    "requests_per_s",
    "power_w",
    "energy_per_token_j",
)
MEMORY: Final = ("total_bytes", "capacity_bytes", "free_bytes")


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What a search is about, whatever the plan."""

    model: Model
    cluster: Cluster
    workload: InferenceWorkload
    plan: InferencePlan
    axes: Axes
    limits: Limits
    basis: CostBasis
    ways: tuple[Way, ...]
    ideal: bool = False


@dataclass(frozen=True, slots=True)
class Evaluated:
    """All evaluated plans as columns, the simpler ones first, and what each rule removed.

    ``words`` are the formats and the engine that a number in the column of that name stands for;
    ``stage_layers`` are those of each split, where they were chosen.
    """

    columns: dict[str, Column]
    words: tuple[InferencePlan, ...]
    stage_layers: dict[tuple[int, int], tuple[int, ...]]
    removed: dict[str, int]
    candidates: int

    def plan(self, row: int) -> tuple[InferencePlan, int]:
        """The plan and the batch size of a row."""
        sizes: dict[str, Any] = {
            name: int(self.columns[name][row]) for name in (*SIZES, "micro_batches", "chunk_tokens")
        }
        layers = self.stage_layers.get((sizes["tp"], sizes["pp"]), ())
        chosen = replace(self.words[int(self.columns["words"][row])], **sizes)
        if layers:
            chosen = replace(chosen, stage_layers=layers)
        return chosen, int(self.columns["batch_size"][row])


def evaluated(setting: Setting, words: tuple[InferencePlan, ...]) -> Evaluated:
    """Every legal plan of a setting, for each of some plans that differ in words.

    Parameters
    ----------
    setting
        What the search is about.
    words
        The plan with each combination of formats and engine.

    Returns
    -------
    Evaluated
        With no rows where nothing is legal.
    """
    axes = setting.axes
    batches = np.array(axes.batch_size or open_batches(), dtype=np.int64)
    most = setting.limits.batch_size
    kept = batches[batches <= most] if most else batches
    chunks = axes.chunk_tokens or OPEN_CHUNKS
    # Where it is open: a batch for each stage (0), all as one, one more than stages, and two for each.
    micro, further = (axes.micro_batches, 0) if axes.micro_batches else ((0, 1), 2)
    abouts = [
        subject(
            setting.model,
            setting.cluster,
            weight_format=plan.weight_format,
            compute_format=plan.compute_format,
            kv_format=plan.kv_format,
            dense_format=plan.dense_format,
            engine=plan.engine,
            ideal=setting.ideal,
        )
        for plan in words
    ]

    def allowed(rows: Ints) -> Mask:
        enough = rows[:, 2] * max(micro[0], 1) <= kept.max(initial=0)
        able = np.zeros(len(rows), dtype=bool)
        for about, plan in zip(abouts, words, strict=True):
            asked = [wrong for _, wrong in refusals(about.engine, setting.cluster, _sized(plan, rows))]
            able |= ~np.logical_or.reduce(np.broadcast_arrays(*asked, np.zeros(len(rows), dtype=bool)))
        return np.asarray(enough & able)

    found = splits(
        setting.model, setting.cluster, axes, stage_layers=setting.plan.stage_layers, allowed=allowed
    )
    ways = (len(micro) + further) * len(chunks)
    removed: dict[str, int] = {}

    def remove(rule: str, count: int) -> None:
        if count:
            removed[rule] = removed.get(rule, 0) + count

    for rule, count in found.removed.items():
        remove(rule, count * ways * len(batches) * len(words))
    remove("batches above the limit", len(found.sizes) * len(words) * ways * (len(batches) - len(kept)))
    blocks: list[dict[str, Column]] = []
    layers: dict[tuple[int, int], tuple[int, ...]] = {}
    for number, (about, base) in enumerate(zip(abouts, words, strict=True)):
        able = np.ones(len(found.sizes), dtype=bool)
        for rule, asked in refusals(about.engine, setting.cluster, _sized(base, found.sizes)):
            remove(rule, int((able & asked).sum()) * ways * len(kept))
            able &= ~np.asarray(asked)
        if not able.any() or not len(kept):
            continue
        sizes = found.sizes[able]
        flying = np.stack(
            [np.full(len(sizes), value) for value in micro] + [sizes[:, 1] + 1, 2 * sizes[:, 1]][:further]
        )
        block = _Block(setting, about, base, sizes, flying, np.array(chunks), kept)
        for rule, wrong in block.rules():
            remove(rule, block.without(wrong))
        if block.alive.any():
            columns = block.columns()
            rows = len(columns["tp"])
            blocks.append(
                columns | {"words": np.full(rows, number), "split": np.flatnonzero(able)[columns["split"]]}
            )
            layers |= block.stage_layers
    columns = {name: np.concatenate([block[name] for block in blocks]) for name in (blocks or [{}])[0]}
    if len(blocks) > 1:
        order = np.argsort(columns["split"], kind="stable")
        columns = {name: column[order] for name, column in columns.items()}
    return Evaluated(columns, words, layers, removed, found.tried * ways * len(batches) * len(words))


def _sized(plan: InferencePlan, rows: Ints) -> InferencePlan:
    return replace(plan, **dict(zip(SIZES, rows.T, strict=True)))


def chosen_stage_layers(setting: Setting, about: Subject, plan: InferencePlan) -> tuple[int, ...]:
    """Layers of each stage for one split of unlike cards; empty leaves them to the estimate's own rule.

    The one place that decides this for the search.
    """
    return setting.plan.stage_layers


class _Block:
    """All plans of one combination of words.

    Arrays have up to four dimensions: micro-batches, chunks, batch sizes, splits. What does not depend on one
    of them has length 1 there, so that nothing is computed twice.
    """

    def __init__(
        self,
        setting: Setting,
        about: Subject,
        plan: InferencePlan,
        sizes: Ints,
        flying: Ints,
        chunks: Ints,
        batches: Ints,
    ) -> None:
        self.setting, self.about, self.base, self.sizes = setting, about, plan, sizes
        self.flying, self.chunks, self.batches = flying, chunks, batches
        self.stage_layers: dict[tuple[int, int], tuple[int, ...]] = {}
        self.alive = np.ones((len(flying), len(chunks), len(batches), len(sizes)), dtype=bool)
        self.alone = len(setting.cluster.groups) > 1 or bool(plan.stage_layers)
        self.runs = list(self._runs())

    def _runs(self) -> Iterator[Run]:
        """One run for all splits of like cards; one for each where the layers of its stages are its own."""
        setting, base = self.setting, self.base
        if not self.alone:
            plan = replace(
                _sized(base, self.sizes),
                micro_batches=self.flying[:, None, None, :],
                chunk_tokens=self.chunks[:, None, None],
            )
            yield run_of(self.about, setting.workload, plan, self.batches[:, None])
            return
        for row, flying in zip(self.sizes.tolist(), self.flying.T, strict=True):
            plan = replace(base, **dict(zip(SIZES, row, strict=True)))
            layers = chosen_stage_layers(setting, self.about, plan)
            self.stage_layers[plan.tp, plan.pp] = layers
            plan = replace(
                plan,
                stage_layers=layers,
                micro_batches=flying[:, None, None],
                chunk_tokens=self.chunks[:, None],
            )
            yield run_of(self.about, setting.workload, plan, self.batches)

    def _joined(self, values: list[Any]) -> Column:
        """What each run says, as one array."""
        if self.alone:
            return np.stack([np.broadcast_to(value, self.alive.shape[:3]) for value in values], axis=-1)
        return np.asarray(values[0])

    def rules(self) -> Iterator[tuple[str, Mask]]:
        """What plans of this kind may not do, or need not try twice."""
        replicas = self.sizes[:, 2]
        flying = self.flying[:, None, None, :]
        batch, chunk = self.batches[:, None], self.chunks[:, None, None]
        yield (
            "batches of fewer sequences than replicas x micro-batches",
            np.maximum(flying, 1) * replicas > batch,
        )
        effective = self._joined([run.micro_batches for run in self.runs])
        again = np.zeros_like(self.alive)
        for row in range(1, len(self.flying)):
            again[row] = (effective[row] == effective[:row]).any(axis=0)
        yield "micro-batches that make the same plan as others", again
        tokens = self.runs[0].new_prompt_tokens * -(-batch // replicas)
        whole = np.broadcast_to((chunk == 0) | (chunk >= tokens), self.alive.shape[1:])
        # Chunks as large as all prompts are no chunks, and take no less memory.
        earlier = np.cumsum(whole, axis=0) - whole > 0
        yield "prefill chunks that hold all prompts at once", (whole & earlier)[None]
        room = self._joined([run.memory().free_bytes for run in self.runs]) >= 0
        held, legal = ((one & self.alive).any(axis=(0, 1, 3)) for one in (room, True))
        # Where nothing fits, the smallest batch stays, to say what is missing.
        last = np.flatnonzero(held)[-1:] if held.any() else np.flatnonzero(legal)[:1]
        beyond = np.arange(len(self.batches)) > last.max(initial=-1)
        yield "batches that no split has the memory for", beyond[:, None]

    def without(self, wrong: Mask) -> int:
        """Take plans out; how many that were still in."""
        before = int(self.alive.sum())
        self.alive &= ~wrong
        return before - int(self.alive.sum())

    def columns(self) -> dict[str, Column]:
        """Inputs and figures of what is left, ordered by split, chunk, micro-batches and batch."""
        kept = self.alive.any(axis=(0, 1, 3))
        self.batches, self.alive = self.batches[kept], self.alive[:, :, kept]
        self.runs = list(self._runs())
        alive = self.alive.transpose(3, 1, 0, 2)

        def flat(values: Any) -> Column:
            return np.asarray(np.broadcast_to(values, self.alive.shape).transpose(3, 1, 0, 2)[alive])

        found = [figures(run, self.setting.basis) for run in self.runs]
        columns = {name: flat(column) for name, column in zip(SIZES, self.sizes.T, strict=True)}
        columns |= {
            "split": flat(np.arange(len(self.sizes))),
            "micro_batches": flat(self.flying[:, None, None, :]),
            "chunk_tokens": flat(self.chunks[:, None, None]),
            "batch_size": flat(self.batches[:, None]),
        }
        for name in MEMORY:
            columns[f"memory_{name}"] = flat(self._joined([getattr(one.memory, name) for one in found]))
        for name in FIGURES:
            columns[name] = flat(self._joined([getattr(one, name) for one in found]))
        prices = []
        for way in self.setting.ways:
            price = way.usd_per_million_tokens(columns["power_w"], columns["paid_tokens_per_s"])
            columns[f"usd_per_million_tokens_{way.name}"] = price
            prices.append(np.where(price > 0, price, np.inf))
        unknown = np.full(len(columns["tp"]), np.nan)
        columns["usd_per_million_tokens"] = np.minimum.reduce(prices) if prices else unknown
        return columns
