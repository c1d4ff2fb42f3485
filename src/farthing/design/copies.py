"""What one copy of a model does on so many cards of a kind: every split and batch, as columns."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from farthing import catalog
from farthing.estimate.cost import CostBasis
from farthing.estimate.engine import refusals
from farthing.estimate.figures import figures, load_shares
from farthing.estimate.run import Run, run_of
from farthing.estimate.subject import Subject, cuts_heads, subject
from farthing.predict.energy import accelerator_power_w
from farthing.predict.serving import continuous_batching
from farthing.predict.trace import untraced
from farthing.records.efficiency import Efficiency
from farthing.records.hardware import Accelerator, Cluster, HostGroup, Link
from farthing.records.model import Model
from farthing.records.plan import InferencePlan
from farthing.records.workload import InferenceWorkload

Ints = NDArray[np.int64]
Column = NDArray[np.float64]

STAGES: Final = (1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 20, 24, 28, 32, 40, 48, 56, 64)
"""Pipeline stages that are tried."""

_TRIES: Final = 63
"""Numbers of sequences that are tried at once on the way to the most."""

FIGURES: Final = ("tokens_per_s", "requests_per_s", "ttft_s", "tpot_s", "busy_w")
"""Of `Copies`, what depends on links."""

MOST_TENSOR_PARALLEL: Final = 64

MOST_SEQUENCES: Final = 4096
"""Of one copy."""

PERFECT: Final = Link(id="perfect", name="no time at all", kind="ethernet", bytes_per_s=1e18, latency_s=0.0)
"""Faster than every link: what a build does with it bounds what it does with any."""


def batches() -> tuple[int, ...]:
    """Sequences that are tried, in steps of about a fifth.

    Examples
    --------
    >>> batches()[:12], batches()[-1]
    ((1, 2, 3, 4, 5, 6, 7, 8, 10, 11, 13, 16), 4096)
    """
    return tuple(dict.fromkeys(round(2 ** (step / 4)) for step in range(49)))


@dataclass(frozen=True, slots=True)
class Copies:
    """Rows of splits and batches of one copy.

    Attributes
    ----------
    tp, pp, dp, ep, sequences
        The split, and sequences that decode together in all of the copy.
    cards
        ``tp x pp x dp``.
    tokens_per_s, requests_per_s, ttft_s, tpot_s
        When all its places are taken, other users' prompts counted.
    busy_w, idle_w
        Of one of its cards.
    least_busy_w
        Of one of its cards, so that no slower link makes a token take less energy beyond that at rest.
    weight_bytes
        On one of its cards.
    across_hosts
        Whether the engine lets cards of several hosts share a layer.
    """

    tp: Ints
    pp: Ints
    dp: Ints
    ep: Ints
    sequences: Ints
    tokens_per_s: Column
    requests_per_s: Column
    ttft_s: Column
    tpot_s: Column
    busy_w: Column
    idle_w: float
    least_busy_w: Column
    weight_bytes: Column
    across_hosts: NDArray[np.bool_]

    @property
    def cards(self) -> Ints:
        """Of one copy."""
        return self.tp * self.pp * self.dp

    def __len__(self) -> int:
        return len(self.tp)

    def where(self, rows: NDArray[Any]) -> Copies:
        """Some of the rows."""
        kept = {
            field.name: value[rows] if isinstance(value := getattr(self, field.name), np.ndarray) else value
            for field in dataclasses.fields(self)
        }
        return Copies(**kept)

    def spread(self, rows: Copies, places: tuple[Ints, Ints], count: int) -> Copies:
        """Figures of these at some places of a table of so many ways by ``rows``; elsewhere they are 0."""

        def table(values: Column) -> Column:
            made = np.zeros((count, len(rows)))
            made[places] = values
            return made

        figures: dict[str, Any] = {name: table(getattr(self, name)) for name in FIGURES}
        return dataclasses.replace(rows, **figures)

    def on(self, ways: Ints) -> Copies:
        """Tables by ways, of which some are taken, perhaps repeatedly."""
        return dataclasses.replace(self, **{name: getattr(self, name)[ways] for name in FIGURES})

    def at(self, way: int, row: int) -> Copies:
        """One row of one way of a table, alone."""
        one: dict[str, Any] = {
            field.name: value[row : row + 1] if value.ndim == 1 else value[way, row : row + 1]
            for field in dataclasses.fields(self)
            if isinstance(value := getattr(self, field.name), np.ndarray)
        }
        return dataclasses.replace(self, **one)


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What each copy serves.

    Attributes
    ----------
    model, workload
        The workload's batch is left open.
    plan
        Formats and engine; the engine may be empty in paper arithmetic.
    ideal
        Paper arithmetic.
    """

    model: Model
    workload: InferenceWorkload
    plan: InferencePlan
    ideal: bool = False


def joined(parts: Sequence[Copies]) -> Copies:
    """Rows of the same accelerator, one after the other."""
    columns: dict[str, Any] = {
        field.name: np.concatenate([getattr(part, field.name) for part in parts])
        for field in dataclasses.fields(Copies)
        if isinstance(getattr(parts[0], field.name), np.ndarray)
    }
    return dataclasses.replace(parts[0], **columns)


def splits(task: Task, most_cards: int, cluster: Cluster) -> NDArray[np.int64]:
    """Rows of tp, pp, dp and ep that the model's heads, layers and experts, and the engine, allow."""
    model, rows = task.model, []
    widths = [tp for tp in range(1, min(MOST_TENSOR_PARALLEL, most_cards) + 1) if cuts_heads(model, tp)]
    for tp in widths:
        for pp in (pp for pp in STAGES if pp <= model.layers and tp * pp <= most_cards):
            rows.append((tp, pp, 1, 1))
            if not model.is_moe:
                continue
            if tp > 1 and model.experts % tp == 0:
                rows.append((tp, pp, 1, tp))
            for dp in (2, 4, 8, 16, 32, 64):
                if tp * pp * dp <= most_cards and model.experts % (tp * dp) == 0:
                    rows.append((tp, pp, dp, tp * dp))
    found = np.array(rows, dtype=np.int64).reshape(-1, 4)
    if task.plan.engine:
        sized = _sized(task.plan, found)
        able = np.ones(len(found), dtype=bool)
        for _, asked in refusals(catalog.engine(task.plan.engine), cluster, sized):
            able &= ~np.asarray(asked)
        found = found[able]
    return found


def bound(task: Task, card: Accelerator, most_cards: int) -> Copies:
    """All rows that fit in memory, timed as if links took no time: nothing real is faster.

    Parameters
    ----------
    task, card
        What is served, on what.
    most_cards
        Of one copy.
    """
    cluster = Cluster(
        name=card.id,
        groups=(
            HostGroup(
                hosts=1, accelerators_per_host=max(most_cards, 1), accelerator=card, intra_link=PERFECT
            ),
        ),
    )
    about = _about(task, cluster)
    about = dataclasses.replace(about, efficiencies=tuple(free_of_links(one) for one in about.efficiencies))
    sizes = splits(task, most_cards, cluster)
    if not len(sizes):
        return _empty(task, card)
    # The most sequences that each split has room for, beside the usual steps.
    room = _room(task, about, sizes)
    counts = np.array(batches(), dtype=np.int64)
    counts = np.vstack([np.repeat(counts[:, None], len(sizes), axis=1), room])
    alive = (counts <= room) & (counts > 0)
    # The last row repeats where the steps have it.
    alive[-1] &= ~(counts[:-1] == counts[-1]).any(axis=0)
    # Splits without any room are out before, numbers without room after they were timed with the others.
    some = alive.any(axis=0)
    if not some.any():
        return _empty(task, card)
    sizes, counts, alive = sizes[some], np.maximum(counts[:, some], 1), alive[:, some]
    step, split = np.nonzero(alive)
    found = _timed(task, about, sizes, counts * sizes[:, 2])
    return _copies(
        task,
        card,
        sizes[split],
        counts[step, split] * sizes[split, 2],
        {name: values[step, split] for name, values in found.items()},
    )


def exact(task: Task, cluster: Cluster, rows: Copies) -> Copies:
    """The rows again, on a cluster as it is."""
    sizes = np.stack([rows.tp, rows.pp, rows.dp, rows.ep], axis=1)
    card = cluster.groups[0].accelerator
    found = _timed(task, _about(task, cluster), sizes, rows.sequences)
    return _copies(task, card, sizes, rows.sequences, found)


def _timed(task: Task, about: Subject, sizes: Ints, sequences: Ints) -> dict[str, Column]:
    """What splits with so many sequences do: figures in the shape of the sequences.

    Parameters
    ----------
    task, about
        What is served, on what.
    sizes
        Rows of tp, pp, dp and ep.
    sequences
        Of the whole copy, one a row of sizes, or a table with a column for each of them.
    """
    run = _run(task, about, sizes, sequences)
    memory = run.memory()
    found = figures(run, CostBasis(), memory)
    own = np.asarray(run.replica_sequences)
    load, card = task.workload, about.cluster.groups[0].accelerator
    alone = np.asarray(untraced(found.ttft_s)) - about.overheads.request_s
    if load.output_tokens:
        step_s = np.asarray(untraced(found.tpot_s))
        serving = continuous_batching(
            lambda _: step_s,
            alone,
            users=own,
            slots=own,
            output_tokens=load.output_tokens,
            waiting_share=about.overheads.waiting_share,
            request_s=about.overheads.request_s,
            shared_prefill_s=np.asarray(found.batch_prefill_s) / own,
        )
        ttft, tpot = serving.ttft_s, serving.tpot_s
        requests = np.asarray(serving.requests_per_s) * sequences / own
        tokens = requests * load.output_tokens
        busy_s: Any = step_s
        # Slower links draw out prompts and steps unevenly; a token's share of the steps alone only grows.
        decoding_share = step_s * tokens / sequences * max(load.output_tokens - 1, 1) / load.output_tokens
    else:
        ttft, tpot = untraced(found.ttft_s), 0.0
        requests, tokens = found.requests_per_s, found.paid_tokens_per_s
        busy_s, decoding_share = np.asarray(found.batch_prefill_s), 1.0
    compute, moved = load_shares(run, memory, run.replica_sequences, busy_s)
    draw = {"idle_w": card.idle_w}
    busy_w = accelerator_power_w(card.tdp_w, compute_share=compute, memory_share=moved, **draw)
    idle_w = accelerator_power_w(card.tdp_w, compute_share=0, memory_share=0, **draw)
    values = {
        "tokens_per_s": tokens,
        "requests_per_s": requests,
        "ttft_s": ttft,
        "tpot_s": tpot,
        "busy_w": busy_w,
        "least_busy_w": idle_w + (busy_w - idle_w) * decoding_share,
        "weight_bytes": untraced(memory.weight_bytes),
    }
    return {
        name: np.broadcast_to(np.asarray(value, dtype=float), sequences.shape)
        for name, value in values.items()
    }


def _copies(task: Task, card: Accelerator, sizes: Ints, sequences: Ints, found: dict[str, Column]) -> Copies:
    return Copies(
        tp=sizes[:, 0],
        pp=sizes[:, 1],
        dp=sizes[:, 2],
        ep=sizes[:, 3],
        sequences=sequences,
        idle_w=float(accelerator_power_w(card.tdp_w, compute_share=0, memory_share=0, idle_w=card.idle_w)),
        across_hosts=np.full(len(sizes), catalog.wiring(task.plan.engine).cuts_across_hosts),
        **found,
    )


def _run(task: Task, about: Subject, sizes: Ints, sequences: Any) -> Run:
    return run_of(about, task.workload, _sized(task.plan, sizes), sequences)


def _sized(plan: InferencePlan, sizes: Ints) -> InferencePlan:
    tp, pp, dp, ep = sizes.T
    return dataclasses.replace(plan, tp=tp, pp=pp, dp=dp, ep=ep)


def _room(task: Task, about: Subject, sizes: Ints) -> Ints:
    """The most sequences of a replica that leave each split room; 0 where not one does."""
    run = _run(task, about, sizes, sizes[:, 2])
    low, high = np.zeros(len(sizes), dtype=np.int64), np.full(len(sizes), MOST_SEQUENCES + 1)
    while (high - low).max() > 1:
        # Each round cuts what is left between a number that fits and one that does not into so many parts.
        steps = -(-(high - low) // (_TRIES + 1))
        tried = np.minimum(low + steps * np.arange(1, _TRIES + 1)[:, None], high - 1)
        tried = np.maximum(tried, 1)
        fits = np.asarray(untraced(run.memory(tried).free_bytes)) >= 0
        fits = np.broadcast_to(fits, tried.shape)
        low, high = (
            np.maximum(low, np.where(fits, tried, 0).max(axis=0)),
            np.minimum(high, np.where(fits, high, tried).min(axis=0)),
        )
    return low


def _empty(task: Task, card: Accelerator) -> Copies:
    none = {name: np.empty(0) for name in (*FIGURES, "least_busy_w", "weight_bytes")}
    return _copies(task, card, np.empty((0, 4), dtype=np.int64), np.empty(0, dtype=np.int64), none)


def _about(task: Task, cluster: Cluster) -> Subject:
    plan = task.plan
    return subject(
        task.model,
        cluster,
        weight_format=plan.weight_format,
        compute_format=plan.compute_format,
        kv_format=plan.kv_format,
        dense_format=plan.dense_format,
        engine=plan.engine,
        ideal=task.ideal,
    )


@functools.lru_cache(maxsize=256)
def free_of_links(efficiency: Efficiency) -> Efficiency:
    """The constants of an architecture, with collectives that take no time of their own."""
    return dataclasses.replace(efficiency, collective_share=1.0, collective_step_s=0.0, collective_s=0.0)


def joined_hosts(rows: Copies, cards_per_host: int) -> Ints:
    """Hosts that one copy needs; 0 where a split cannot lie on such hosts.

    Tensor parallelism fills a host or lies in one, and lies in one where the engine asks for it; stages do
    not straddle hosts.

    Parameters
    ----------
    rows
        Splits.
    cards_per_host
        Of each host.
    """
    width = rows.tp * rows.dp
    inside = width <= cards_per_host
    stages = np.maximum(cards_per_host // np.maximum(width, 1), 1)
    hosts = np.where(inside, -(-rows.pp // stages), rows.pp * width // cards_per_host)
    whole = inside | (rows.across_hosts & (width % cards_per_host == 0))
    return np.where(whole, hosts, 0)


def plan_of(task: Task, rows: Copies, row: int) -> tuple[InferencePlan, int]:
    """The plan and the sequences of a row."""
    sizes: dict[str, Any] = {name: int(getattr(rows, name)[row]) for name in ("tp", "pp", "dp", "ep")}
    return dataclasses.replace(task.plan, **sizes), int(rows.sequences[row])
