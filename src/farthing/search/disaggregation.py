"""The best way to have some workers read prompts for others that decode."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from farthing import catalog
from farthing.estimate.disaggregated import (
    DisaggregatedFigures,
    Handover,
    Reading,
    disaggregated_estimate,
    disaggregated_figures,
    handover,
    pool_cluster,
    reading,
    reading_memory,
    side_run,
)
from farthing.estimate.engine import chosen_note, refusals, usual_engine
from farthing.estimate.run import run_of
from farthing.estimate.subject import Subject
from farthing.predict.inference_memory import InferenceMemory
from farthing.records.estimate import DisaggregatedEstimate
from farthing.records.hardware import Cluster
from farthing.records.plan import DisaggregatedPlan, InferencePlan, Pool
from farthing.search.inference_evaluation import Setting, sized
from farthing.search.inference_ranking import rounded
from farthing.search.inference_space import SIZES, Ints, Mask, open_batches, splits
from farthing.search.rank import pareto_front

FIGURES: Final = {
    "tokens-per-s": ("served_tokens_per_s", -1.0),
    "ttft": ("ttft_s", 1.0),
    "tpot": ("tpot_s", 1.0),
    "usd": ("usd_per_million_tokens", 1.0),
}
"""Objectives whose figures mean the same where each worker does both: energy there leaves out the prompts."""

POOL_SPLITS: Final = 7
"""Most ways to deal the cards of each host, or the hosts, out to both sides; more are thinned evenly."""

COARSE: Final = 4
"""Where there are more ways, one of so many open numbers of users tells which are good."""

GOOD: Final = 3
"""Ways that are then tried with all numbers of users."""

_COLUMNS: Final = ("prompt_s", "shared_s", "places", "cards", "compute_s", "read_s")
"""Of `Reading`, what depends on the split and is needed beyond the check of its memory."""

FINER: Final = 16
"""Numbers of users that are tried between the best one and its neighbours."""


def pools(cluster: Cluster) -> Iterator[tuple[Pool, Pool]]:
    """Cards for prompts and cards for decoding: alike in each host, or whole hosts, or unlike groups.

    Examples
    --------
    >>> from farthing.catalog.cluster import parse_cluster
    >>> [(a.count, b.count) for a, b in pools(parse_cluster("2x2:h100-sxm@ib-ndr"))]
    [(2, 2), (2, 2)]
    """
    if len(cluster.groups) > 1:
        whole = [
            Pool(group=number, hosts=group.hosts, accelerators_per_host=group.accelerators_per_host)
            for number, group in enumerate(cluster.groups)
        ]
        yield from ((a, b) for a in whole for b in whole if a.group != b.group)
        return
    hosts, cards = cluster.groups[0].hosts, cluster.groups[0].accelerators_per_host
    for part in _thinned(cards):
        yield (
            Pool(hosts=hosts, accelerators_per_host=part),
            Pool(hosts=hosts, accelerators_per_host=cards - part),
        )
    for part in _thinned(hosts):
        yield (
            Pool(hosts=part, accelerators_per_host=cards),
            Pool(hosts=hosts - part, accelerators_per_host=cards),
        )


def _thinned(whole: int) -> list[int]:
    """Parts from 1 to one less than the whole, not too many."""
    count = min(whole - 1, POOL_SPLITS)
    return sorted({round(part) for part in np.linspace(1, whole - 1, count)}) if count else []


@dataclass(frozen=True, slots=True)
class _Sides:
    """Splits of both sides on their cards, and the way between them."""

    pools: tuple[Pool, Pool]
    decode: Subject
    words: InferencePlan
    read_sizes: Ints
    decode_sizes: Ints
    read: Reading
    way: Handover


@dataclass(frozen=True, slots=True)
class _Found:
    """The best of some candidates: less is better."""

    value: float
    sides: _Sides
    places: tuple[int, int]
    users: int


def best_disaggregated(
    setting: Setting, words: tuple[InferencePlan, ...], objective: str, notes: Collection[str]
) -> DisaggregatedEstimate | None:
    """The best plan of two kinds of workers that keeps the limits.

    Parameters
    ----------
    setting, words
        As in `farthing.search.inference_evaluation.evaluated`. The sizes that tensor, pipeline and expert
        parallelism may have hold for both sides; a fixed number of replicas, of micro-batches or of layers of
        a stage has no meaning here.
    objective
        What is best.
    notes
        Engines that nobody named.

    Returns
    -------
    DisaggregatedEstimate or None
        None where no engine does so, nothing keeps the limits, or the objective cannot be compared.
    """
    axes, most = setting.axes, setting.limits.max_batch_size
    if objective not in FIGURES or setting.workload.output_tokens < 2 or setting.model.encoder:
        return None
    if axes.dp or setting.plan.stage_layers or (axes.micro_batches or (0,))[0] != 0:
        return None
    batches = np.array(axes.batch_size or open_batches(), dtype=np.int64)
    users = batches[batches <= most] if most else batches
    if not len(users):
        return None
    limits = setting.limits
    fastest = objective == "tokens-per-s" and not (
        limits.ttft_s or limits.tpot_s or limits.usd_per_million_tokens
    )
    ways = [
        sides
        for base in words
        for pair in pools(setting.cluster)
        if (
            sides := _sides(
                setting,
                base,
                pair,
                users,
                named=base.engine not in notes,
                fastest=fastest,
            )
        )
    ]
    if len(ways) > POOL_SPLITS and not axes.batch_size:
        coarse = [_best(setting, sides, users[::COARSE], objective) for sides in ways]
        good = sorted((found for found in coarse if found), key=lambda found: found.value)[:GOOD]
        ways = [found.sides for found in good]
    found = [one for sides in ways if (one := _best(setting, sides, users, objective))]
    if not found:
        return None
    best = min(found, key=lambda one: one.value)
    if not axes.batch_size:
        best = _refined(setting, best, users, objective)
    engine = best.sides.words.engine
    assumed = (chosen_note(catalog.engine(engine)),) if engine and notes else ()
    return _estimate(setting, best, assumed)


def _sides(
    setting: Setting, base: InferencePlan, pair: tuple[Pool, Pool], users: Ints, *, named: bool, fastest: bool
) -> _Sides | None:
    """All splits of both sides that their cards, the model and the engine allow, and that fit.

    Where nobody named the engine it is the usual one of both sides' cards.
    """
    plan = replace(base, chunk_tokens=0, micro_batches=0)
    if not named:
        usual = {usual_engine(pool_cluster(setting.cluster, pool), plan.weight_format).id for pool in pair}
        if len(usual) > 1:
            return None
        plan = replace(plan, engine=usual.pop())
    abouts: list[Subject] = []
    sizes: list[Ints] = []
    axes = replace(setting.axes, dp=())
    for pool, most in zip(pair, (None, int(users.max())), strict=True):
        cluster = pool_cluster(setting.cluster, pool)
        about = side_run(
            setting.model, setting.cluster, pool, setting.workload, plan, ideal=setting.ideal
        ).about
        if about.engine.id and not about.engine.disaggregates:
            return None

        def allowed(rows: Ints) -> Mask:
            able = np.ones(len(rows), dtype=bool) if most is None else rows[:, 2] <= most  # noqa: B023
            for _, asked in refusals(about.engine, cluster, sized(plan, rows)):  # noqa: B023
                able = able & ~np.asarray(asked)
            return np.asarray(able)

        rows = splits(setting.model, cluster, axes, allowed=allowed).sizes
        rows = rows[allowed(rows)] if len(rows) else rows
        if not len(rows):
            return None
        abouts.append(about)
        sizes.append(rows)
    prefill, decode = abouts
    decoding = run_of(decode, setting.workload, sized(plan, sizes[1]), users[:, None])
    room = np.broadcast_to(_fitting(setting, decoding.memory()), (len(users), len(sizes[1])))
    sizes[1] = sizes[1][room.any(axis=0)]
    if not len(sizes[1]):
        return None
    run = run_of(prefill, setting.workload, sized(plan, sizes[0]))
    memory = reading_memory(run)
    fitting = np.broadcast_to(_fitting(setting, memory), len(sizes[0]))
    if not fitting.any():
        return None
    if not fitting.all():
        sizes[0] = sizes[0][fitting]
        run = run_of(prefill, setting.workload, sized(plan, sizes[0]))
        memory = reading_memory(run)
    read = reading(run, memory)
    way = handover(
        setting.model,
        setting.cluster,
        *pair,
        (prefill.efficiencies[0], decode.efficiencies[0]),
        tokens=setting.workload.prompt_tokens,
        kv_bytes=decode.kv.bytes_per_element,
    )
    kept = _worth_reading(read, len(sizes[0])) if fastest else np.arange(len(sizes[0]))
    # One axis before users and splits of the other side.
    columns: dict[str, Any] = {
        name: np.broadcast_to(getattr(read, name), len(sizes[0]))[kept][:, None, None] for name in _COLUMNS
    }
    read = replace(read, **columns)
    return _Sides(pair, decode, plan, sizes[0][kept], sizes[1], read, way)


def _fitting(setting: Setting, memory: InferenceMemory) -> Mask:
    """Which plans leave the room that must stay free."""
    return np.asarray(memory.free_bytes >= setting.limits.headroom_share * memory.capacity_bytes)


def _worth_reading(read: Reading, count: int) -> NDArray[np.intp]:
    """Splits of prefill workers that none beats in latency, pace and cards that send.

    More prompts in less time never slow the answers of all users together, but they do slow those of each.
    """
    pace = np.broadcast_to(read.shared_s / read.places, count)
    cards = -np.broadcast_to(np.asarray(read.cards, dtype=float), count)
    figures = np.stack([np.broadcast_to(read.prompt_s, count), pace, cards], axis=1)
    return np.sort(pareto_front(figures))


def _best(setting: Setting, sides: _Sides, users: Ints, objective: str) -> _Found | None:
    """The best users and splits of both sides; of equal ones the simpler."""
    plans = sized(sides.words, sides.decode_sizes)
    decode = run_of(sides.decode, setting.workload, plans, users[:, None])
    shape = (len(sides.read_sizes), len(users), len(sides.decode_sizes))
    memory = decode.memory()
    fits = _fitting(setting, memory)
    fits = np.broadcast_to(fits & (sides.decode_sizes[:, 2] <= users[:, None]), shape[1:])
    held = fits.any(axis=1)
    if not held.any():
        return None
    if not held.all():
        users, fits = users[held], fits[held]
        decode.batch_size = users[:, None]
        memory = decode.memory()
    found = disaggregated_figures(
        setting.cluster, sides.read, decode, sides.way, sides.pools, setting.basis, memory
    )
    values = np.where(fits & _keeps(setting, found), _values(setting, found, objective), np.inf)
    if not np.isfinite(values).any():
        return None
    # Splits first, then users, so that of equal ones the simplest is met first.
    ordered = values.transpose(0, 2, 1)
    place = np.unravel_index(int(np.argmin(ordered)), ordered.shape)
    read_at, decode_at, users_at = (int(index) for index in place)
    return _Found(float(ordered[place]), sides, (read_at, decode_at), int(users[users_at]))


def _price(setting: Setting, found: DisaggregatedFigures) -> NDArray[np.float64]:
    prices = [
        np.asarray(way.usd_per_million_tokens(found.power_w, found.served_tokens_per_s))
        for way in setting.ways
    ]
    return np.minimum.reduce(prices) if prices else np.full(np.shape(found.tpot_s), np.nan)


def _values(setting: Setting, found: DisaggregatedFigures, objective: str) -> NDArray[np.float64]:
    name, sign = FIGURES[objective]
    value = _price(setting, found) if objective == "usd" else getattr(found, name)
    return sign * rounded(value)


def _keeps(setting: Setting, found: DisaggregatedFigures) -> Mask:
    limits = setting.limits
    kept = np.ones(np.shape(found.tpot_s), dtype=bool)
    if limits.ttft_s:
        kept &= found.ttft_s <= limits.ttft_s
    if limits.tpot_s:
        kept &= found.tpot_s <= limits.tpot_s
    if limits.usd_per_million_tokens:
        kept &= _price(setting, found) <= limits.usd_per_million_tokens
    return kept


def _refined(setting: Setting, best: _Found, users: Ints, objective: str) -> _Found:
    """The same splits with numbers of users between those that were tried."""
    sides, (read_at, decode_at) = best.sides, best.places
    below, above = users[users < best.users], users[users > best.users]
    low = int(below.max(initial=1))
    high = int(above.min()) if len(above) else best.users
    finer = np.unique(np.linspace(low, high, FINER).astype(np.int64))
    one = slice(read_at, read_at + 1)
    columns: dict[str, Any] = {name: getattr(sides.read, name)[one] for name in _COLUMNS}
    alone = replace(
        sides,
        read_sizes=sides.read_sizes[one],
        decode_sizes=sides.decode_sizes[decode_at : decode_at + 1],
        read=replace(sides.read, **columns),
    )
    found = _best(setting, alone, finer, objective)
    return found if found and found.value < best.value else best


def _estimate(setting: Setting, best: _Found, assumed: tuple[str, ...]) -> DisaggregatedEstimate:
    sides, (read_at, decode_at) = best.sides, best.places
    own = [
        replace(sides.words, **dict(zip(SIZES, rows[at].tolist(), strict=True)))
        for rows, at in ((sides.read_sizes, read_at), (sides.decode_sizes, decode_at))
    ]
    plan = DisaggregatedPlan(
        prefill=own[0], decode=own[1], prefill_pool=sides.pools[0], decode_pool=sides.pools[1]
    )
    return disaggregated_estimate(
        setting.model,
        setting.cluster,
        replace(setting.workload, batch_size=best.users),
        plan,
        basis=setting.basis,
        ideal=setting.ideal,
        assumed=assumed,
    )
