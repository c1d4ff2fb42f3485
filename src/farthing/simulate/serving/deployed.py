"""A plan on a cluster, made ready to be played: replicas, caches, pass times, the way between them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass

from farthing import catalog
from farthing.errors import Infeasible, InvalidInput
from farthing.estimate.disaggregated import check_pools, handover, pool_cluster
from farthing.estimate.engine import refusals
from farthing.estimate.run import Run, check, run_of
from farthing.estimate.subject import Subject, efficiency_note, hardware_notes, refitted_note, subject
from farthing.records.hardware import Cluster
from farthing.records.model import Model
from farthing.records.plan import DisaggregatedPlan, InferencePlan
from farthing.records.serving import Scheduler
from farthing.records.workload import InferenceWorkload
from farthing.simulate.serving.machine import Machine
from farthing.simulate.serving.service import Deployment
from farthing.simulate.serving.tables import pass_times
from farthing.units import format_bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """Like replicas, and what they are read off.

    Attributes
    ----------
    run
        The plan on its cards.
    machine, scheduler
        For the simulation.
    ranks
        Of a replica, where several share their experts; else 1.
    """

    run: Run
    machine: Machine
    scheduler: Scheduler
    ranks: int

    @property
    def cards(self) -> int:
        """Of one replica."""
        return int(self.run.plan.tp * self.run.plan.pp) * self.ranks

    @property
    def replicas(self) -> int:
        """Of the plan."""
        return int(self.run.plan.dp) // self.ranks


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployed:
    """What serves.

    Attributes
    ----------
    decode, prefill
        Sides; without ``prefill`` the first does both.
    replicas
        Of the first side; those of the other are its plan's.
    transfer_s
        Of the keys and values of a prompt of so many tokens [s].
    notes, warnings
        What is assumed, and what the user should know.
    """

    model: Model
    cluster: Cluster
    plan: InferencePlan | DisaggregatedPlan
    decode: Side
    prefill: Side | None
    replicas: int
    transfer_s: Callable[[int], float]
    notes: tuple[str, ...]
    warnings: tuple[str, ...]

    @property
    def readers(self) -> int:
        """Workers that only read prompts."""
        return self.prefill.replicas if self.prefill else 0

    @property
    def cards(self) -> int:
        """Of all replicas."""
        reading = self.readers * self.prefill.cards if self.prefill else 0
        return self.replicas * self.decode.cards + reading

    def deployment(self, prefix_block_tokens: int) -> Deployment:
        """For a service whose requests name blocks of so many tokens that others may share."""
        return Deployment(
            machine=self.decode.machine,
            replicas=self.replicas,
            scheduler=self.decode.scheduler,
            reader=self.prefill.machine if self.prefill else None,
            readers=self.readers,
            reading=self.prefill.scheduler if self.prefill else None,
            transfer_s=self.transfer_s,
            request_s=request_s(self.decode.scheduler, self.decode.run),
            prefix_tokens=prefix_block_tokens,
        )


def deployed(
    model: Model,
    cluster: Cluster,
    plan: InferencePlan | DisaggregatedPlan,
    scheduler: Scheduler,
    workload: InferenceWorkload,
    *,
    typical_tokens: float,
    replicas: int = 0,
    ideal: bool = False,
    notes: tuple[str, ...] = (),
) -> Deployed:
    """A plan made ready.

    Parameters
    ----------
    model, cluster, plan
        What runs where.
    scheduler
        How passes are put together; on both sides.
    workload
        Drafting and the popularity of experts; sizes are not taken from it.
    typical_tokens
        Of a request in the cache: what a token takes there depends on it where windows or states do.
    replicas
        That decode; 0 for those of the plan.
    ideal
        Paper arithmetic.
    notes
        Assumed already.

    Raises
    ------
    InvalidInput
        A split that the model or the cluster does not allow.
    Infeasible
        Memory that does not hold the weights and one request.
    """
    if model.encoder:
        raise InvalidInput(f"{model.id} is an encoder and writes no tokens: there is nothing to play")
    warnings = hardware_notes(cluster)
    if typical_tokens > model.max_context:
        warnings.append(
            f"requests of {typical_tokens:,.0f} tokens exceed the {model.max_context:,} that {model.id} is "
            "made for"
        )
    if isinstance(plan, DisaggregatedPlan):
        check_pools(cluster, plan.prefill_pool, plan.decode_pool)
        prefill = _side(
            model,
            pool_cluster(cluster, plan.prefill_pool),
            plan.prefill,
            scheduler,
            workload,
            typical_tokens,
            ideal=ideal,
            reads_only=True,
        )
        decode = _side(
            model,
            pool_cluster(cluster, plan.decode_pool),
            plan.decode,
            scheduler,
            workload,
            typical_tokens,
            ideal=ideal,
        )
        engine = decode.run.about.engine
        if engine.id and not engine.disaggregates:
            warnings.append(f"{engine.name} {engine.version} does not hand prompts over".strip())
        return Deployed(
            model=model,
            cluster=cluster,
            plan=plan,
            decode=decode,
            prefill=prefill,
            replicas=decode.replicas,
            transfer_s=_transfer(model, cluster, plan, prefill, decode),
            notes=(*notes, *_notes(decode, prefill)),
            warnings=tuple(warnings),
        )
    side = _side(model, cluster, plan, scheduler, workload, typical_tokens, ideal=ideal)
    warnings += [words for words, asked in refusals(side.run.about.engine, cluster, plan) if asked]
    return Deployed(
        model=model,
        cluster=cluster,
        plan=plan,
        decode=side,
        prefill=None,
        replicas=replicas or side.replicas,
        transfer_s=lambda tokens: 0.0,
        notes=(*notes, *_notes(side)),
        warnings=tuple(warnings),
    )


def _side(
    model: Model,
    cluster: Cluster,
    plan: InferencePlan,
    scheduler: Scheduler,
    workload: InferenceWorkload,
    typical_tokens: float,
    *,
    ideal: bool,
    reads_only: bool = False,
) -> Side:
    load = dataclasses.replace(workload, batch_size=max(plan.dp * max(plan.micro_batches, 1), 1))
    check(model, cluster, load, plan)
    about = subject(
        model,
        cluster,
        weight_format=plan.weight_format,
        compute_format=plan.compute_format,
        kv_format=plan.kv_format,
        dense_format=plan.dense_format,
        engine=plan.engine,
        ideal=ideal,
    )
    if scheduler.chunks and not plan.chunk_tokens:
        # Activations are those of a pass.
        plan = dataclasses.replace(plan, chunk_tokens=scheduler.token_budget)
    run = run_of(about, load, plan)
    blocks = kv_blocks(run, scheduler, typical_tokens)
    most = min(scheduler.max_sequences, blocks)
    passes = pass_times(
        run,
        max_sequences=most,
        pass_tokens=scheduler.token_budget + most,
        reading_factor=scheduler.reading_factor,
        reading_kernel_s=scheduler.reading_kernel_s,
    )
    # Each rank that shares experts has a batch of its own, and all wait for the slowest.
    ranks = int(plan.dp) if plan.ep > plan.tp else 1
    return Side(
        run=run,
        machine=Machine(
            passes=passes,
            kv_blocks=blocks * ranks,
            lanes=ranks if ranks > 1 else int(plan.micro_batches or plan.pp),
            lockstep=ranks > 1,
            swap_s_per_block=_swap_s(run, scheduler, typical_tokens),
            reads_only=reads_only,
        ),
        scheduler=dataclasses.replace(scheduler, max_sequences=most),
        ranks=ranks,
    )


def request_s(scheduler: Scheduler, run: Run) -> float:
    """Host time of a request before the queue [s]."""
    return scheduler.request_s or run.about.overheads.request_s


def _token_bytes(run: Run, typical_tokens: float) -> float:
    """Of the fullest card's cache, for a token of a request of typical length [byte]."""
    return float(run.memory(1, typical_tokens).sequence_bytes) / typical_tokens


def kv_blocks(run: Run, scheduler: Scheduler, typical_tokens: float) -> int:
    """Blocks of the cache that a replica has room for beside weights and activations.

    Raises
    ------
    Infeasible
        Where no request of typical length finds room.
    """
    memory = run.memory(1, typical_tokens)
    free = float(memory.free_bytes) + float(memory.kv_cache_bytes)
    each = _token_bytes(run, typical_tokens) * scheduler.block_tokens
    if free < float(memory.sequence_bytes):
        lacking = format_bytes(float(memory.sequence_bytes) - free, binary=True)
        raise Infeasible(
            f"{run.about.model.id} on {run.about.cluster.name}: each card needs {lacking} more for the "
            f"weights and one request of {typical_tokens:,.0f} tokens; take more cards a replica (tp, pp), "
            "fewer bits a weight, or a smaller token_budget"
        )
    # Where nothing grows with the tokens, memory does not limit how many there are.
    return int(min(free / each, 1e9)) if each > 0 else 10**9


def _swap_s(run: Run, scheduler: Scheduler, typical_tokens: float) -> float:
    """Moving a block to the host's memory and back, each card over its own bus [s]."""
    card = run.about.cluster.groups[0].accelerator
    bus = catalog.links().get(f"pcie{card.pcie_generation}-x{card.pcie_lanes}") or catalog.link("pcie4-x16")
    block = _token_bytes(run, typical_tokens) * scheduler.block_tokens
    return 2 * block / (bus.bytes_per_s * bus.efficiency)


def _transfer(
    model: Model, cluster: Cluster, plan: DisaggregatedPlan, prefill: Side, decode: Side
) -> Callable[[int], float]:
    """Time to hand over a prompt of so many tokens [s]."""
    efficiencies = (prefill.run.about.efficiencies[0], decode.run.about.efficiencies[0])
    known: dict[int, float] = {}

    def time_s(tokens: int) -> float:
        if tokens not in known:
            way = handover(
                model,
                cluster,
                plan.prefill_pool,
                plan.decode_pool,
                efficiencies,
                tokens=tokens,
                kv_bytes=decode.run.about.kv.bytes_per_element,
            )
            known[tokens] = float(way.time_s(prefill.cards, decode.cards))
        return known[tokens]

    return time_s


def _notes(*sides: Side) -> tuple[str, ...]:
    found: dict[str, None] = {}
    for side in sides:
        about: Subject = side.run.about
        found |= dict.fromkeys(efficiency_note(one) for one in about.efficiencies)
        found |= dict.fromkeys(refitted_note(about))
    first = sides[0]
    if first.ranks > 1:
        found[f"{first.ranks} ranks share experts: they begin and end their passes together"] = None
    elif first.machine.lanes > 1:
        found[f"{first.machine.lanes} batches in flight in the pipeline"] = None
    return tuple(found)


def scheduler_of(engine: str, cluster: Cluster) -> tuple[Scheduler, tuple[str, ...]]:
    """The scheduler of an engine on a cluster, and what that assumes."""
    card = cluster.groups[0].accelerator
    found = catalog.usual_scheduler(engine, card)
    if found is not None:
        return found, ()
    name = catalog.engine(engine).name if engine else "no engine"
    usual = catalog.usual_scheduler("vllm", card) or Scheduler()
    return unfitted(usual), (f"{name}: passes are put together as vLLM does",)


def unfitted(scheduler: Scheduler) -> Scheduler:
    """Without what was fitted to one engine: another's, or paper arithmetic, owes nothing to it."""
    return dataclasses.replace(
        scheduler, request_s=0.0, reading_kernel_s=0.0, stream_s=0.0, reading_factor=1.0, fitted_on=""
    )
