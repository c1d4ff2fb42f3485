"""Prompts read by workers of their own: one plan, or columns of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

from farthing.errors import InvalidInput
from farthing.estimate.cost import CardLoad, CostBasis, costs, loaded_power_w
from farthing.estimate.engine import refusals, with_engine
from farthing.estimate.figures import load_shares
from farthing.estimate.inference import memory_use
from farthing.estimate.run import STEP_TOKENS, Run, check, run_of
from farthing.estimate.subject import efficiency_note, hardware_notes, subject
from farthing.predict.communication import point_to_point_time_s
from farthing.predict.energy import energy_per_token_j
from farthing.predict.fabric import (
    across_bytes_per_s,
    across_latency_s,
    inside_bytes_per_s,
    inside_latency_s,
)
from farthing.predict.inference import speculated_tokens
from farthing.predict.inference_memory import InferenceMemory
from farthing.predict.kv_cache import prompt_cache_bytes
from farthing.predict.parameters import active_parameters
from farthing.predict.serving import disaggregated
from farthing.predict.trace import Number, larger, select, smaller
from farthing.records.efficiency import Efficiency
from farthing.records.estimate import DisaggregatedEstimate
from farthing.records.hardware import Cluster
from farthing.records.model import Model
from farthing.records.plan import DisaggregatedPlan, InferencePlan, Pool
from farthing.records.workload import InferenceWorkload
from farthing.units import format_bytes


def pool_cluster(cluster: Cluster, pool: Pool) -> Cluster:
    """The cards of one side as a cluster.

    Examples
    --------
    >>> from farthing.catalog.cluster import parse_cluster
    >>> pool_cluster(parse_cluster("2x8:h100-sxm@ib-ndr"), Pool(hosts=1, accelerators_per_host=8)).count
    8
    """
    group = dataclasses.replace(
        cluster.groups[pool.group], hosts=pool.hosts, accelerators_per_host=pool.accelerators_per_host
    )
    return dataclasses.replace(cluster, groups=(group,), usd=0.0, usd_per_s=0.0)


def check_pools(cluster: Cluster, prefill: Pool, decode: Pool) -> None:
    """Refuse pools that the cluster does not have, or that share cards.

    Raises
    ------
    InvalidInput
        Saying which.
    """
    for name, pool in (("prefill_pool", prefill), ("decode_pool", decode)):
        if pool.group >= len(cluster.groups):
            raise InvalidInput(f"{name}: {cluster.name} has {len(cluster.groups)} groups of hosts, from 0")
        group = cluster.groups[pool.group]
        if pool.hosts > group.hosts or pool.accelerators_per_host > group.accelerators_per_host:
            raise InvalidInput(
                f"{name}: {pool.hosts} hosts with {pool.accelerators_per_host} cards are more than the "
                f"{group.hosts} with {group.accelerators_per_host} of {cluster.name}"
            )
    group = cluster.groups[prefill.group]
    apart = prefill.group != decode.group or prefill.hosts + decode.hosts <= group.hosts
    if not (apart or shares_hosts(cluster, prefill, decode)):
        raise InvalidInput(
            f"prefill_pool and decode_pool together are more than the cards of {cluster.name}: "
            "take fewer hosts, or fewer cards of each"
        )


def with_engines(plan: DisaggregatedPlan, cluster: Cluster) -> tuple[DisaggregatedPlan, tuple[str, ...]]:
    """A plan whose sides have engines, the usual ones where none is named, and what is assumed then."""
    prefill, first = with_engine(plan.prefill, pool_cluster(cluster, plan.prefill_pool))
    decode, second = with_engine(plan.decode, pool_cluster(cluster, plan.decode_pool))
    notes = tuple(dict.fromkeys(first + second))
    return dataclasses.replace(plan, prefill=prefill, decode=decode), notes


def shares_hosts(cluster: Cluster, prefill: Pool, decode: Pool) -> bool:
    """Whether both sides have cards of the same hosts."""
    room = cluster.groups[prefill.group].accelerators_per_host
    return prefill.group == decode.group and (
        prefill.accelerators_per_host + decode.accelerators_per_host <= room
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Handover:
    """The way of keys and values from a card that read them to one that decodes [byte/s], [s]."""

    cache_bytes: float
    bytes_per_s: float
    latency_s: float

    def time_s(self, prefill_cards: Number, decode_cards: Number) -> Number:
        """For one prompt, each card of the smaller worker sending or taking its part [s]."""
        parts = smaller(prefill_cards, decode_cards)
        return point_to_point_time_s(
            self.cache_bytes / parts, bytes_per_s=self.bytes_per_s, latency_s=self.latency_s
        )


def handover(
    model: Model,
    cluster: Cluster,
    prefill: Pool,
    decode: Pool,
    efficiencies: Sequence[Efficiency],
    *,
    tokens: float,
    kv_bytes: float,
) -> Handover:
    """Inside the hosts where both sides have cards there, else over the slower side's network ports.

    All cards of a host send at once, so that workers that hand over at the same time are counted.
    """
    sides = [(cluster.groups[pool.group], pool) for pool in (prefill, decode)]
    if shares_hosts(cluster, prefill, decode):
        group, own = sides[0][0], efficiencies[0]
        rate, latency = inside_bytes_per_s(group, own), inside_latency_s(group, own)
    else:
        rate = min(
            float(across_bytes_per_s(cluster, group, own, senders=pool.accelerators_per_host))
            for (group, pool), own in zip(sides, efficiencies, strict=True)
        )
        latency = max(
            across_latency_s(cluster, group, own) for (group, _), own in zip(sides, efficiencies, strict=True)
        )
    cache = float(prompt_cache_bytes(model, tokens, bytes_per_element=kv_bytes))
    return Handover(cache_bytes=cache, bytes_per_s=rate, latency_s=latency)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What prefill workers do; scalars or columns.

    Attributes
    ----------
    memory
        Of a card, with the prompts of the passes in flight and of one that is handed over.
    prompt_s, shared_s
        One prompt alone, and its part of a pass as full as engines make it.
    places, cards
        Workers (or ranks), and cards of each.
    compute_s, read_s
        Of a prompt: arithmetic and reading of weights at a card's peaks.
    """

    memory: InferenceMemory
    prompt_s: Number
    shared_s: Number
    places: Number
    cards: Number
    compute_s: Number
    read_s: Number


def prompts_together(run: Run) -> int:
    """Prompts that share a pass."""
    return max(int(STEP_TOKENS // run.new_prompt_tokens), 1)


def reading_memory(run: Run) -> InferenceMemory:
    """Of a card that reads prompts, with those of the passes in flight and of one that is handed over."""
    return run.memory(prompts_together(run) * (run.plan.pp + 1), run.workload.prompt_tokens)


def reading(run: Run, memory: InferenceMemory | None = None) -> Reading:
    """What the workers of a plan do with prompts; ``memory`` where it is known already."""
    new, plan, together = run.new_prompt_tokens, run.plan, prompts_together(run)
    cached = run.workload.prompt_tokens - new
    step = run.step(together, new, cached, decode=False)
    memory = reading_memory(run) if memory is None else memory
    peak = min(card.matmul_flop_per_s for card in run.about.devices) * plan.tp * plan.pp
    bandwidth = min(card.memory_bytes_per_s for card in run.about.devices)
    return Reading(
        memory=memory,
        prompt_s=run.prefill(1)[1],
        # With several passes in flight the slowest stage sets the pace.
        shared_s=select(plan.pp == 1, step.total_s, step.slowest_s) / together,
        places=plan.dp,
        cards=plan.tp * plan.pp,
        compute_s=2 * active_parameters(run.about.model) * new / peak,
        read_s=memory.weight_bytes / bandwidth / together,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class DisaggregatedFigures:
    """What a deployment does, scalar or column; see `DisaggregatedEstimate`."""

    decode_memory: InferenceMemory
    ttft_s: Number
    loaded_ttft_s: Number
    transfer_s: Number
    tpot_s: Number
    decoding: Number
    requests_per_s: Number
    prefill_requests_per_s: Number
    served_tokens_per_s: Number
    power_w: Number
    energy_per_token_j: Number


def tokens_of_a_step(workload: InferenceWorkload) -> float:
    """That a decode step adds to each answer, accepted drafts counted."""
    if not workload.draft_tokens:
        return 1.0
    return float(speculated_tokens(workload.draft_tokens, workload.acceptance_rate))


def disaggregated_figures(
    cluster: Cluster,
    read: Reading,
    decode: Run,
    way: Handover,
    pools: tuple[Pool, Pool],
    basis: CostBasis,
    memory: InferenceMemory | None = None,
) -> DisaggregatedFigures:
    """Figures of users in a closed loop, as many as the decode run's batch size says.

    ``memory`` is the decode run's where it is known already. The rates of both sides are matched by
    `farthing.predict.serving.disaggregated`, in a steady state.
    """
    workload, plan, users = decode.workload, decode.plan, decode.batch_size
    context = max(workload.decode_context_tokens - 1, 0.0)
    yielded = tokens_of_a_step(workload)
    request_s = decode.about.overheads.request_s
    transfer_s = way.time_s(read.cards, plan.tp * plan.pp)
    micro = decode.micro_batches

    def decode_s(sequences: Number) -> Number:
        return decode.decode_step(sequences / micro, context)[1]

    # A worker reads the next prompt while it hands over the last; the slower of both sets its pace.
    pace_s = larger(read.shared_s, transfer_s)
    load = disaggregated(
        decode_s,
        larger(read.prompt_s, transfer_s),
        shared_prefill_s=pace_s,
        users=users,
        prefill_places=read.places,
        decode_places=plan.dp,
        slots=decode.replica_sequences,
        output_tokens=workload.output_tokens,
        burst_share=0.0,
        transfer_s=transfer_s,
        request_s=request_s,
        step_tokens=yielded,
    )
    served = load.requests_per_s * workload.output_tokens
    memory = decode.memory() if memory is None else memory
    step_s = load.tpot_s * yielded
    compute, moved = load_shares(decode, memory, load.decoding, step_s)
    each = load.requests_per_s / read.places
    draw = loaded_power_w(
        cluster,
        [
            CardLoad(
                group=pool.group,
                cards_share=cards / cluster.groups[pool.group].count,
                compute_share=smaller(by_compute, 1.0),
                memory_share=smaller(by_memory, 1.0),
            )
            for pool, cards, by_compute, by_memory in (
                (pools[0], read.cards * read.places, each * read.compute_s, each * read.read_s),
                (pools[1], plan.tp * plan.pp * plan.dp, compute, moved),
            )
        ],
        pue=basis.pue,
    )
    return DisaggregatedFigures(
        decode_memory=memory,
        ttft_s=request_s + read.prompt_s + transfer_s + step_s,
        loaded_ttft_s=load.ttft_s,
        transfer_s=transfer_s,
        tpot_s=load.tpot_s,
        decoding=load.decoding,
        requests_per_s=load.requests_per_s,
        prefill_requests_per_s=read.places / pace_s,
        served_tokens_per_s=served,
        power_w=draw,
        energy_per_token_j=energy_per_token_j(draw, served),
    )


def side_run(
    model: Model,
    cluster: Cluster,
    pool: Pool,
    workload: InferenceWorkload,
    plan: InferencePlan,
    *,
    ideal: bool = False,
    users: Number | None = None,
) -> Run:
    """The workers of one side on their cards."""
    about = subject(
        model,
        pool_cluster(cluster, pool),
        weight_format=plan.weight_format,
        compute_format=plan.compute_format,
        kv_format=plan.kv_format,
        dense_format=plan.dense_format,
        engine=plan.engine,
        ideal=ideal,
    )
    return run_of(about, workload, plan, users)


def check_answers(workload: InferenceWorkload) -> None:
    """Refuse a load without an answer to decode."""
    if workload.output_tokens < 2:
        raise InvalidInput("workers that decode need output_tokens of at least 2")


def disaggregated_estimate(
    model: Model,
    cluster: Cluster,
    workload: InferenceWorkload,
    plan: DisaggregatedPlan,
    *,
    basis: CostBasis,
    ideal: bool = False,
    assumed: tuple[str, ...] = (),
) -> DisaggregatedEstimate:
    """The estimate of one complete plan; ``batch_size`` users each wait for an answer before they ask again.

    Raises
    ------
    InvalidInput
        Pools that the cluster does not have, or a split that the model or its cards do not allow.
    """
    check_answers(workload)
    check_pools(cluster, plan.prefill_pool, plan.decode_pool)
    sides = ((plan.prefill, plan.prefill_pool), (plan.decode, plan.decode_pool))
    for own, pool in sides:
        batch = max(workload.batch_size, own.dp) if own is plan.prefill else workload.batch_size
        check(model, pool_cluster(cluster, pool), dataclasses.replace(workload, batch_size=batch), own)
    prefill, decode = (side_run(model, cluster, pool, workload, own, ideal=ideal) for own, pool in sides)
    way = handover(
        model,
        cluster,
        plan.prefill_pool,
        plan.decode_pool,
        (prefill.about.efficiencies[0], decode.about.efficiencies[0]),
        tokens=workload.prompt_tokens,
        kv_bytes=decode.about.kv.bytes_per_element,
    )
    read = reading(prefill)
    found = disaggregated_figures(cluster, read, decode, way, (plan.prefill_pool, plan.decode_pool), basis)
    missing = {
        name: -float(memory.free_bytes)
        for name, memory in (("prefill", read.memory), ("decode", found.decode_memory))
    }
    misfit = ", ".join(
        f"each {name} card needs {format_bytes(lacking, binary=True)} more"
        for name, lacking in missing.items()
        if lacking > 0
    )
    served = float(found.served_tokens_per_s)
    # With all users decoding at once.
    step_s = decode.decode_step(
        workload.batch_size / plan.decode.dp / decode.micro_batches,
        max(workload.decode_context_tokens - 1, 0.0),
    )[1]
    answer_s = (workload.output_tokens - 1) * step_s / tokens_of_a_step(workload)
    decode_requests_per_s = float(workload.batch_size / answer_s)
    prefill_limits = float(found.prefill_requests_per_s) < decode_requests_per_s
    used = sum(own.tp * own.pp * own.dp for own, _ in sides)
    warnings = hardware_notes(cluster)
    if used < cluster.count:
        warnings.append(f"the plan leaves {cluster.count - used} of {cluster.count} cards idle")
    for own, pool in sides:
        engine = (prefill if own is plan.prefill else decode).about.engine
        asked = refusals(engine, pool_cluster(cluster, pool), own)
        warnings += [words for words, wrong in asked if wrong]
        if engine.id and not engine.disaggregates:
            warnings.append(f"{engine.name} {engine.version} does not hand prompts over".strip())
    notes = [efficiency_note(e) for run in (prefill, decode) for e in run.about.efficiencies]
    return DisaggregatedEstimate(
        model=model.id,
        cluster=cluster.name,
        workload=workload,
        plan=plan,
        accelerators=used,
        fits=not misfit,
        misfit=misfit,
        prefill_memory=memory_use(read.memory),
        decode_memory=memory_use(found.decode_memory),
        ttft_s=float(found.ttft_s),
        loaded_ttft_s=float(found.loaded_ttft_s),
        transfer_bytes=way.cache_bytes,
        transfer_s=float(found.transfer_s),
        tpot_s=float(found.tpot_s),
        decoding=float(found.decoding) * plan.decode.dp,
        requests_per_s=float(found.requests_per_s),
        prefill_requests_per_s=float(found.prefill_requests_per_s),
        decode_requests_per_s=decode_requests_per_s,
        served_tokens_per_s=served,
        bottleneck="reading prompts and handing them over" if prefill_limits else "decoding",
        power_w=float(found.power_w),
        energy_per_token_j=float(found.energy_per_token_j),
        costs=costs(cluster, float(found.power_w), served, basis),
        assumptions=(
            *assumed,
            *dict.fromkeys(notes),
            f"{workload.batch_size} users each wait for an answer before they ask again",
            "keys and values are handed over once the whole prompt is read",
        ),
        warnings=tuple(dict.fromkeys(warnings)),
    )
