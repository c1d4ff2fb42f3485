"""Memory, time, power and money of all legal plans, as columns."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from farthing.errors import InvalidInput
from farthing.estimate.cost import CostBasis, Way
from farthing.estimate.engine import refusals
from farthing.estimate.figures import figures
from farthing.estimate.run import Run, run_of
from farthing.estimate.subject import Subject, subject
from farthing.records.hardware import Cluster
from farthing.records.model import Model
from farthing.records.plan import InferencePlan
from farthing.records.search import InferenceObjective, Limits
from farthing.records.workload import InferenceWorkload
from farthing.search.inference_space import OPEN_CHUNKS, SIZES, Axes, Ints, Mask, open_batches, splits
from farthing.search.layer_ranges import best_layer_ranges
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
_TRIES: Final = 48
"""Batches that are tried at once on the way to the largest."""

MEMORY: Final = {
    "memory_bytes": "total_bytes",
    "memory_capacity_bytes": "capacity_bytes",
    "memory_free_bytes": "free_bytes",
}
"""Columns, and the fields of `InferenceMemory` behind them."""


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
    objective: InferenceObjective
    ways: tuple[Way, ...]
    ideal: bool = False
    cards: tuple[int, ...] = ()
    """Numbers of them that plans may use; none means all, or as many as any legal split uses."""


@dataclass(frozen=True, slots=True)
class Evaluated:
    """All evaluated plans as columns, the simpler ones first, and what each rule removed.

    ``words`` are the formats and the engine that a number in the column of that name stands for, ``cuts`` the
    layers of the stages.
    """

    columns: dict[str, Column]
    words: tuple[InferencePlan, ...]
    cuts: tuple[tuple[int, ...], ...]
    removed: dict[str, int]
    candidates: int

    def plan(self, row: int) -> tuple[InferencePlan, int]:
        """The plan and the batch size of a row."""
        sizes: dict[str, Any] = {
            name: int(self.columns[name][row]) for name in (*SIZES, "micro_batches", "chunk_tokens")
        }
        sizes["stage_layers"] = self.cuts[int(self.columns["cut"][row])]
        chosen = replace(self.words[int(self.columns["words"][row])], **sizes)
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

    Raises
    ------
    InvalidInput
        The fixed sizes need more cards than there are.
    """
    axes = setting.axes
    batches = np.array(axes.batch_size or open_batches(), dtype=np.int64)
    most = setting.limits.max_batch_size
    kept = batches[batches <= most] if most else batches
    # Beside sizes in steps, each split's largest batch.
    largest = 0 if axes.batch_size else 1
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
            asked = [wrong for _, wrong in refusals(about.engine, setting.cluster, sized(plan, rows))]
            able |= ~np.logical_or.reduce(np.broadcast_arrays(*asked, np.zeros(len(rows), dtype=bool)))
        return np.asarray(enough & able)

    found = splits(
        setting.model,
        setting.cluster,
        axes,
        stage_layers=setting.plan.stage_layers,
        allowed=allowed,
        cards=setting.cards,
    )
    if not found.tried:
        fixed = ", ".join(f"{axis}={list(getattr(axes, axis))}" for axis in SIZES if getattr(axes, axis))
        raise InvalidInput(
            f"no split of up to {setting.cluster.count} cards of {setting.cluster.name} has {fixed}: "
            "allow other sizes"
        )
    ways = (len(micro) + further) * len(chunks)
    each = ways * (len(batches) + largest) * len(words)
    removed: dict[str, int] = {}

    def remove(rule: str, count: int) -> None:
        if count:
            removed[rule] = removed.get(rule, 0) + count

    for rule, count in found.removed.items():
        remove(rule, count * each)
    remove("batches above the limit", len(found.sizes) * len(words) * ways * (len(batches) - len(kept)))
    blocks: list[dict[str, Column]] = []
    cuts: dict[tuple[int, ...], int] = {}
    further_cuts = 0
    for number, (about, base) in enumerate(zip(abouts, words, strict=True)):
        able = np.ones(len(found.sizes), dtype=bool)
        for rule, asked in refusals(about.engine, setting.cluster, sized(base, found.sizes)):
            remove(rule, int((able & asked).sum()) * ways * (len(kept) + largest))
            able &= ~np.asarray(asked)
        if not able.any() or not len(kept):
            remove("batches above the limit", int(able.sum()) * ways * largest)
            continue
        splits_of_cards = [
            (split, layers)
            for split in np.flatnonzero(able).tolist()
            for layers in stage_cuts(setting, replace(base, **_sizes_of(found.sizes[split])), kept)
        ]
        further_cuts += len(splits_of_cards) - int(able.sum())
        split = np.array([split for split, _ in splits_of_cards])
        sizes = found.sizes[split]
        flying = np.stack(
            [np.full(len(sizes), value) for value in micro] + [sizes[:, 1] + 1, 2 * sizes[:, 1]][:further]
        )
        block = _Block(
            setting,
            about,
            base,
            sizes,
            [layers for _, layers in splits_of_cards],
            flying,
            np.array(chunks),
            kept,
            largest > 0,
        )
        for rule, wrong in block.rules():
            remove(rule, block.without(wrong))
        if block.alive.any():
            columns = block.columns()
            row = columns.pop("row")
            cut = np.array([cuts.setdefault(layers, len(cuts)) for _, layers in splits_of_cards])
            blocks.append(
                columns | {"words": np.full(len(row), number), "split": split[row], "cut": cut[row]}
            )
    columns = {name: np.concatenate([block[name] for block in blocks]) for name in (blocks or [{}])[0]}
    if len(blocks) > 1:
        order = np.argsort(columns["split"], kind="stable")
        columns = {name: column[order] for name, column in columns.items()}
    candidates = found.tried * each + further_cuts * ways * (len(kept) + largest)
    return Evaluated(columns, words, tuple(cuts), removed, candidates)


def _sizes_of(row: Ints) -> dict[str, Any]:
    return dict(zip(SIZES, row.tolist(), strict=True))


def sized(plan: InferencePlan, rows: Ints) -> InferencePlan:
    """A plan with rows of sizes as columns."""
    return replace(plan, **dict(zip(SIZES, rows.T, strict=True)))


def stage_cuts(setting: Setting, plan: InferencePlan, batches: Ints) -> tuple[tuple[int, ...], ...]:
    """Layers of the stages that are tried for one split: an empty cut is the estimate's own rule.

    Unlike cards also get the best ranges for the fewest, the middle and the most sequences.

    Parameters
    ----------
    setting
        The cluster, the load and the objective.
    plan
        One split, with single sizes.
    batches
        Numbers of sequences that will be tried with each cut.
    """
    given = setting.plan.stage_layers
    if given or len(setting.cluster.groups) == 1:
        return (given,)
    cuts: dict[tuple[int, ...], None] = {(): None}
    for place in (0, len(batches) // 2, -1):
        try:
            best = best_layer_ranges(
                setting.model,
                setting.cluster,
                replace(setting.workload, batch_size=int(batches[place])),
                plan,
                objective=setting.objective,
                stages=plan.pp,
                rearrange=False,
                headroom_share=setting.limits.headroom_share,
                ideal=setting.ideal,
            )
        except InvalidInput:
            # A host has fewer cards than a stage: its stages are cut by the estimate's own rule.
            return ((),)
        cuts[best.plan.stage_layers] = None
    return tuple(cuts)


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
        layers: list[tuple[int, ...]],
        flying: Ints,
        chunks: Ints,
        batches: Ints,
        largest: bool,
    ) -> None:
        self.setting, self.about, self.base, self.sizes = setting, about, plan, sizes
        self.layers, self.flying, self.chunks, self.largest = layers, flying, chunks, largest
        self.batches = np.repeat(batches[:, None], len(sizes), axis=1)
        self.alone = len(setting.cluster.groups) > 1 or any(layers)
        self.runs = list(self._runs())
        if largest:
            self._set_batches(np.vstack([self.batches, self._largest_batches(int(batches.max()))]))
        self.alive = np.ones((len(flying), len(chunks), *self.batches.shape), dtype=bool)

    def _runs(self) -> Iterator[Run]:
        """One run for all splits of like cards; one for each where the layers of its stages are its own."""
        setting, base = self.setting, self.base
        if not self.alone:
            plan = replace(
                sized(base, self.sizes),
                micro_batches=self.flying[:, None, None, :],
                chunk_tokens=self.chunks[:, None, None],
            )
            yield run_of(self.about, setting.workload, plan, self.batches)
            return
        for row, layers, flying, batches in zip(
            self.sizes, self.layers, self.flying.T, self.batches.T, strict=True
        ):
            plan = replace(
                base,
                **_sizes_of(row),
                stage_layers=layers,
                micro_batches=flying[:, None, None],
                chunk_tokens=self.chunks[:, None],
            )
            yield run_of(self.about, setting.workload, plan, batches)

    def _set_batches(self, batches: Ints) -> None:
        self.batches = batches
        for number, run in enumerate(self.runs):
            run.batch_size = batches[:, number] if self.alone else batches

    def _largest_batches(self, most: int) -> Ints:
        """The most sequences that each split has the memory for, whatever the chunks; at most so many."""
        replicas = self.sizes[:, 2]
        limit = most
        if self.setting.limits.max_batch_size:
            limit = self.setting.limits.max_batch_size
        low, high = np.zeros_like(replicas), limit // replicas + 1
        tries = np.arange(1, _TRIES + 1)[:, None]
        while (high - low).max() > 1:
            # Each round cuts what is left between a batch that fits and one that does not into so many parts.
            sequences = np.minimum(low + -(-(high - low) // (_TRIES + 1)) * tries, high - 1)
            fitting = np.cumprod(self._has_room(sequences), axis=0).sum(axis=0)
            at = np.arange(len(low))
            failing = sequences[np.minimum(fitting, _TRIES - 1), at]
            low = np.where(fitting > 0, sequences[fitting - 1, at], low)
            high = np.where(fitting < _TRIES, np.maximum(failing, low + 1), high)
        return low * replicas

    def _has_room(self, sequences: Ints) -> Mask:
        """Whether so many sequences of a replica leave the room that must stay free, for each split."""
        share = self.setting.limits.headroom_share
        if not self.alone:
            memory = self.runs[0].memory(sequences)
            free = np.broadcast_to(memory.free_bytes, (len(self.chunks), *sequences.shape))
            return np.asarray((free >= share * memory.capacity_bytes).all(axis=0))
        rows = []
        for run, own in zip(self.runs, sequences.T, strict=True):
            memory = run.memory(own)
            free = np.broadcast_to(memory.free_bytes, (len(self.chunks), len(own)))
            rows.append((free >= share * np.asarray(memory.capacity_bytes)).all(axis=0))
        return np.stack(rows, axis=1)

    def _joined(self, values: list[Any]) -> Column:
        """What each run says, as one array."""
        if self.alone:
            return np.stack([np.broadcast_to(value, self.alive.shape[:3]) for value in values], axis=-1)
        return np.asarray(values[0])

    def rules(self) -> Iterator[tuple[str, Mask]]:
        """What plans of this kind may not do, or need not try twice."""
        replicas = self.sizes[:, 2]
        flying = self.flying[:, None, None, :]
        batch, chunk = self.batches, self.chunks[:, None, None]
        yield (
            "batches of fewer sequences than replicas x micro-batches",
            np.maximum(flying, 1) * replicas > batch,
        )
        if self.largest:
            tried = np.zeros(batch.shape, dtype=bool)
            tried[-1] = (batch[-1] == batch[:-1]).any(axis=0)
            yield "largest batches that are among the others", tried
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
        steps = np.arange(len(batch)) < len(batch) - self.largest
        held, legal = held & steps, legal & steps
        # Where nothing fits, the smallest batch stays, to say what is missing.
        last = np.flatnonzero(held)[-1:] if held.any() else np.flatnonzero(legal)[:1]
        beyond = (np.arange(len(batch)) > last.max(initial=-1)) & steps
        yield "batches that no split has the memory for", beyond[:, None]

    def without(self, wrong: Mask) -> int:
        """Take plans out; how many that were still in."""
        before = int(self.alive.sum())
        self.alive &= ~wrong
        return before - int(self.alive.sum())

    def columns(self) -> dict[str, Column]:
        """Inputs and figures of what is left, ordered by split, chunk, micro-batches and batch."""
        kept = self.alive.any(axis=(0, 1, 3))
        # A split without room has a largest batch of 0, which is out already.
        self._set_batches(np.maximum(self.batches[kept], 1))
        self.alive = self.alive[:, :, kept]
        alive = self.alive.transpose(3, 1, 0, 2)

        def flat(values: Any) -> Column:
            return np.asarray(np.broadcast_to(values, self.alive.shape).transpose(3, 1, 0, 2)[alive])

        found = [figures(run, self.setting.basis) for run in self.runs]
        columns = {name: flat(column) for name, column in zip(SIZES, self.sizes.T, strict=True)}
        columns |= {
            "row": flat(np.arange(len(self.sizes))),
            "micro_batches": flat(self.flying[:, None, None, :]),
            "chunk_tokens": flat(self.chunks[:, None, None]),
            "batch_size": flat(self.batches),
        }
        for name, field in MEMORY.items():
            columns[name] = flat(self._joined([getattr(one.memory, field) for one in found]))
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
