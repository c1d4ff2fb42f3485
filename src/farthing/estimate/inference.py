"""One inference estimate."""

from __future__ import annotations

import dataclasses
import math
from typing import Any, Final

import numpy as np

from farthing import catalog
from farthing.errors import InvalidInput
from farthing.estimate.cost import CostBasis, costs, power_w
from farthing.estimate.likeness import error_bar, inference_likeness
from farthing.estimate.subject import (
    Subject,
    check_cards,
    check_expert_parallel,
    check_stages,
    check_tensor_parallel,
    computed_wider,
    cuts_heads,
    efficiency_note,
    hardware_notes,
    refitted_note,
    subject,
)
from farthing.predict.compute import VECTOR_ROWS, balance_tokens, experts_touched
from farthing.predict.energy import energy_per_token_j
from farthing.predict.inference import (
    StepTime,
    pipelined_step_time_s,
    sequences_that_fit,
    speculated_tokens,
    step_time,
    window_spare_tokens,
)
from farthing.predict.inference_memory import InferenceMemory, inference_memory
from farthing.predict.parameters import active_parameters, total_parameters
from farthing.predict.placement import Place, places
from farthing.predict.trace import named, term_of, tracing, untraced
from farthing.records.error_bar import ErrorBar
from farthing.records.estimate import InferenceEstimate, MemoryUse, Part
from farthing.records.hardware import Cluster
from farthing.records.model import Model
from farthing.records.plan import InferencePlan
from farthing.records.term import Term
from farthing.records.workload import InferenceWorkload
from farthing.units import format_bytes

STEP_TOKENS: Final = 8192
"""Tokens that engines put into one forward pass of a prefill at most; larger batches are cut."""


HANDLING: Final = "handling of the request by the engine"
"""Part of the time to the first token."""


def default_plan(
    model: Model, cluster: Cluster, plan: InferencePlan, chosen: set[str], batch: int
) -> InferencePlan:
    """Fill in the sizes that the user left open.

    Tensor parallel over the cards of a host as far as the heads allow, pipeline over hosts, replicas with the
    rest. Unlike cards form one chain.
    """
    if cluster.is_mixed or len(cluster.groups) > 1:
        tp = plan.tp
        slots = max(sum(group.hosts * (group.accelerators_per_host // tp) for group in cluster.groups), 1)
        pp = plan.pp if "pp" in chosen else min(slots, model.layers)
        return dataclasses.replace(plan, pp=pp)
    per_host = cluster.groups[0].accelerators_per_host
    tp, pp, dp = plan.tp, plan.pp, plan.dp
    if "tp" not in chosen:
        room = per_host if "pp" not in chosen else max(cluster.count // pp, 1)
        able = plan.engine == "" or catalog.engine(plan.engine).tensor_parallel
        most = min(per_host, room) if able else 1
        tp = next(size for size in range(most, 0, -1) if per_host % size == 0 and cuts_heads(model, size))
    if "pp" not in chosen:
        able = plan.engine == "" or catalog.engine(plan.engine).tensor_parallel
        pp = max(1, min(cluster.hosts if able else cluster.count, cluster.count // tp, model.layers))
        if "dp" in chosen:
            pp = max(1, min(pp, cluster.count // (tp * dp)))
        elif "tp" in chosen and cluster.hosts == 1 and able:
            pp = 1
    if "dp" not in chosen:
        dp = max(1, min(cluster.count // (tp * pp), batch))
    return dataclasses.replace(plan, tp=tp, pp=pp, dp=dp)


def _check(model: Model, cluster: Cluster, workload: InferenceWorkload, plan: InferencePlan) -> None:
    check_tensor_parallel(model, plan.tp)
    check_stages(model, plan.pp)
    check_cards(cluster, plan.tp * plan.pp * plan.dp, "tp x pp x dp")
    check_expert_parallel(model, plan.ep, plan.tp * plan.dp, "tp x dp")
    if plan.dp > workload.batch_size:
        raise InvalidInput(
            f"dp={plan.dp} replicas need a batch of at least {plan.dp}, not {workload.batch_size}: "
            "lower dp or raise the batch"
        )
    if plan.stage_layers and (len(plan.stage_layers) != plan.pp or sum(plan.stage_layers) != model.layers):
        raise InvalidInput(
            f"stage_layers must be {plan.pp} numbers that sum to the {model.layers} layers of {model.id}, "
            f"not {', '.join(map(str, plan.stage_layers))}"
        )
    if len(cluster.groups) > 1 and plan.dp > 1:
        raise InvalidInput("dp > 1 needs like hosts; describe each replica as a cluster of its own")
    if plan.micro_batches * plan.dp > workload.batch_size:
        raise InvalidInput(
            f"micro_batches={plan.micro_batches} in flight need a batch of at least "
            f"{plan.micro_batches * plan.dp}, not {workload.batch_size}"
        )
    if len(cluster.groups) > 1:
        slots = sum(group.hosts * (group.accelerators_per_host // plan.tp) for group in cluster.groups)
        if plan.pp > slots:
            raise InvalidInput(
                f"{cluster.name} has room for {slots} stages of tp={plan.tp} cards in a host each, "
                f"not for pp={plan.pp}"
            )
    if model.encoder and workload.output_tokens:
        raise InvalidInput(f"{model.id} is an encoder and decodes nothing: set output_tokens to 0")


def _parts(
    step: StepTime, whole: float, extra: float = 0.0, *, drafting: float = 0.0, request: float = 0.0
) -> tuple[Part, ...]:
    named_parts = (
        ("matrix products", step.matmul_s),
        ("attention", step.attention_s),
        ("norms and activations", step.elementwise_s),
        ("traffic between tensor-parallel cards", step.communication_s),
        ("hops between stages", step.hop_s),
        ("engine overhead", step.overhead_s),
        (HANDLING, request),
        ("draft model", drafting),
        ("waiting for a busy stage or other chunks", extra),
    )
    return tuple(
        Part(name=name, value=float(value), share=float(value) / whole if whole else 0.0)
        for name, value in named_parts
        if float(value) > 0
    )


@dataclasses.dataclass(slots=True)
class Run:
    """The moving parts of one estimate, so that sensitivity can repeat them."""

    about: Subject
    workload: InferenceWorkload
    plan: InferencePlan
    placed: tuple[Place, ...]

    @property
    def replica_sequences(self) -> int:
        """Of the fullest replica."""
        return math.ceil(self.workload.batch_size / int(self.plan.dp))

    @property
    def micro_batches(self) -> int:
        if self.plan.pp == 1:
            return 1
        return self.plan.micro_batches or max(1, min(self.plan.pp, math.floor(self.replica_sequences)))

    @property
    def new_prompt_tokens(self) -> float:
        return max(1.0, self.workload.prompt_tokens * (1 - self.workload.prefix_share))

    def step(self, sequences: float, new_tokens: float, cached_tokens: float, *, decode: bool) -> StepTime:
        return step_time(
            self.about.model,
            self.about.cluster,
            self.placed,
            self.plan,
            sequences=sequences,
            new_tokens=new_tokens,
            cached_tokens=cached_tokens,
            decode=decode,
            weight_bytes=self.about.dense.bytes_per_element,
            expert_bytes=self.about.weights.bytes_per_element,
            narrow=self.about.narrow,
            head_bytes=self.about.head_bytes,
            kv_bytes=self.about.kv.bytes_per_element,
            routing_spread=self.workload.routing_spread,
            engine=self.about.overheads,
            wiring=self.about.wiring,
        )

    def memory(self, sequences: Any = None, context: Any = None) -> InferenceMemory:
        own = self.replica_sequences if sequences is None else sequences
        prompt = self.plan.chunk_tokens or np.minimum(self.new_prompt_tokens * own, STEP_TOKENS)
        return inference_memory(
            self.about.model,
            self.placed,
            self.plan,
            sequences=own,
            context_tokens=self.workload.longest_context_tokens if context is None else context,
            step_tokens=np.maximum(prompt, own),
            weight_size=self.about.dense.bytes_per_element,
            expert_size=self.about.weights.bytes_per_element,
            head_size=self.about.head_bytes,
            kv_size=self.about.kv.bytes_per_element,
            reserve_share=self.about.engine.memory_reserve_share,
            window_spare_tokens=window_spare_tokens(self.plan, self.about.overheads),
        )

    def prefill(self, sequences: float) -> tuple[StepTime, Any]:
        """Step of one chunk or micro-batch, and the time until all of them are done."""
        new, cached = self.new_prompt_tokens, self.workload.prompt_tokens - self.new_prompt_tokens
        chunk = self.plan.chunk_tokens
        if chunk and chunk < new * sequences:
            pieces = math.ceil(new * sequences / chunk)
            few = chunk <= VECTOR_ROWS
            step = self.step(sequences, new / pieces, cached + new * (1 - 1 / pieces) / 2, decode=few)
        else:
            pieces = max(1, min(self.plan.pp, math.floor(sequences)))
            step = self.step(sequences / pieces, new, cached, decode=False)
        if self.plan.pp == 1:
            return step, step.total_s * pieces
        return step, step.total_s + (pieces - 1) * step.slowest_s

    def decode(self) -> tuple[StepTime, Any]:
        """One decode step of a micro-batch, and the time until its turn comes again."""
        step, whole = self.decode_step(
            self.replica_sequences / self.micro_batches, max(self.workload.decode_context_tokens - 1, 0.0)
        )
        return step, named("decode step_s", whole)

    def decode_step(self, sequences: Any, cached_tokens: float) -> tuple[StepTime, Any]:
        """One decode step of so many sequences, and the time that it and its drafting take in all."""
        drafted = self.workload.draft_tokens
        step = self.step(sequences, 1 + drafted, cached_tokens, decode=True)
        whole = step.total_s
        if self.plan.pp > 1:
            whole = pipelined_step_time_s(whole, step.slowest_s, micro_batches=self.micro_batches)
        if drafted:
            whole = whole * (1 + drafted * self.workload.draft_cost_share)
        return step, whole


def run_of(about: Subject, workload: InferenceWorkload, plan: InferencePlan) -> Run:
    """Place the stages."""
    layer_bytes = total_parameters(about.model) / about.model.layers * about.weights.bytes_per_element
    placed = places(
        about.model,
        about.cluster,
        plan,
        about.devices,
        about.efficiencies,
        layer_bytes=layer_bytes,
        by_memory=about.wiring.layers_by == "memory",
    )
    return Run(about, workload, plan, placed)


def infer_estimate(
    model: Model,
    cluster: Cluster,
    workload: InferenceWorkload,
    plan: InferencePlan,
    *,
    basis: CostBasis,
    ideal: bool = False,
    explain: bool = False,
    assumed: tuple[str, ...] = (),
) -> InferenceEstimate:
    """The estimate of one complete plan; ``assumed`` is said along with its own assumptions."""
    _check(model, cluster, workload, plan)
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
    run = run_of(about, workload, plan)
    if explain:
        with tracing():
            return _estimate(run, basis, assumed)
    return _estimate(run, basis, assumed)


def _estimate(run: Run, basis: CostBasis, assumed: tuple[str, ...]) -> InferenceEstimate:
    about, workload, plan = run.about, run.workload, run.plan
    memory = run.memory()
    first, alone = run.prefill(1)
    whole_batch = alone if run.replica_sequences == 1 else run.prefill(run.replica_sequences)[1]
    decode, step_s = run.decode()
    yielded = (
        speculated_tokens(workload.draft_tokens, workload.acceptance_rate) if workload.draft_tokens else 1.0
    )
    tpot = named("time per output token_s", step_s / yielded if workload.draft_tokens else step_s)
    request_s = about.overheads.request_s
    first_token = named("time to first token_s", alone + request_s)
    terms = [
        named("memory of the fullest card_bytes", memory.total_bytes),
        first_token,
        tpot,
        named("tokens a second", workload.batch_size / tpot, "token/s"),
    ]
    tpot_s, ttft_s, prefill_s = float(tpot), float(first_token), float(whole_batch)
    tokens_per_s = workload.batch_size / tpot_s
    # Requests of the batch finish one after the other: each cycle prefills the batch and decodes it.
    cycle_s = prefill_s + max(workload.output_tokens - 1, 0) * tpot_s
    served = workload.batch_size * workload.output_tokens / cycle_s
    room = _limits(run, memory)
    fits, misfit = _fit(run, memory)
    draw = _power(run, memory, tpot_s * float(untraced(yielded)), basis)
    energy = float(untraced(energy_per_token_j(draw, tokens_per_s)))
    return InferenceEstimate(
        model=about.model.id,
        cluster=about.cluster.name,
        workload=workload,
        plan=plan,
        accelerators=plan.tp * plan.pp * plan.dp,
        fits=fits,
        misfit=misfit,
        memory=_memory_use(memory),
        ttft_s=ttft_s,
        batch_prefill_s=prefill_s,
        tpot_s=tpot_s,
        prefill=_parts(first, ttft_s, max(ttft_s - request_s - float(first.total_s), 0.0), request=request_s),
        decode=_decode_parts(run, decode, float(step_s)),
        tokens_per_s=tokens_per_s,
        tokens_per_s_per_sequence=1 / tpot_s,
        served_tokens_per_s=served,
        requests_per_s=workload.batch_size / cycle_s,
        largest_batch_size=room[0],
        largest_context_tokens=room[1],
        balance_batch_size=_balance(about),
        bottleneck=_bottleneck(run, decode),
        power_w=draw,
        energy_per_token_j=energy,
        costs=costs(about.cluster, draw, served or run.workload.prompt_tokens / prefill_s, basis),
        assumptions=(*assumed, *_assumptions(run)),
        warnings=_warnings(run),
        intervals=_intervals(run, ttft_s, tpot_s, tokens_per_s),
        terms=tuple(term for term in map(term_of, terms) if isinstance(term, Term)),
    )


def _intervals(run: Run, ttft_s: float, tpot_s: float, tokens_per_s: float) -> tuple[ErrorBar, ...]:
    prefill, decode = (
        inference_likeness(run.about, run.workload, run.plan, what) for what in ("prefill", "decode")
    )
    prefill_s, decode_s = _least_s(run)
    first = error_bar(run.about, "ttft_s", ttft_s, prefill, share=prefill_s / ttft_s)
    if not run.workload.output_tokens:
        return (first,)
    share = decode_s / tpot_s
    return (
        first,
        error_bar(run.about, "tpot_s", tpot_s, decode, share=share),
        error_bar(run.about, "tokens_per_s", tokens_per_s, decode, rate=True, share=share),
    )


def _least_s(run: Run) -> tuple[float, float]:
    """What the peaks allow at least: computing a prompt, and reading the weights for each token [s].

    Drafted tokens share a reading, so that nothing is certain of them.
    """
    about, model = run.about, run.about.model
    inner = active_parameters(model) - model.vocab * model.hidden
    compute = max(card.matmul_flop_per_s for card in about.devices) * run.plan.tp
    memory = max(card.memory_bytes_per_s for card in about.devices) * run.plan.tp
    least = min(about.weights.bytes_per_element, about.dense.bytes_per_element)
    reading = 0.0 if run.workload.draft_tokens else inner * least / memory
    return 2 * inner * run.new_prompt_tokens / compute, reading


def _decode_parts(run: Run, step: StepTime, whole_s: float) -> tuple[Part, ...]:
    drafted = 1 + run.workload.draft_tokens * run.workload.draft_cost_share
    drafting = whole_s * (1 - 1 / drafted)
    return _parts(step, whole_s, max(whole_s - drafting - float(step.total_s), 0.0), drafting=drafting)


def _memory_use(memory: InferenceMemory) -> MemoryUse:
    rows = (
        ("weights", memory.weight_bytes),
        ("KV cache", memory.kv_cache_bytes),
        ("activations", memory.activation_peak_bytes),
        ("workspace and reserve", memory.workspace_bytes),
    )
    total = float(memory.total_bytes)
    return MemoryUse(
        parts=tuple(Part(name=name, value=float(value), share=float(value) / total) for name, value in rows),
        total_bytes=total,
        capacity_bytes=float(memory.capacity_bytes),
        free_bytes=float(memory.capacity_bytes) - total,
    )


def _limits(run: Run, memory: InferenceMemory) -> tuple[int, int]:
    """Largest batch at this context, and largest context at this batch."""
    free = float(memory.free_bytes) + float(memory.kv_cache_bytes)
    per_sequence = float(untraced(memory.sequence_bytes))
    if free <= 0:
        return 0, 0
    # Where nothing is cached, activations alone bound the batch.
    most = int(untraced(sequences_that_fit(free, per_sequence))) if per_sequence > 0 else 10**6
    batch, context = _largest(run, most, run.about.model.max_context)
    return batch * run.plan.dp, context


def _largest(run: Run, most_sequences: int, most_context: int) -> tuple[int, int]:
    """Largest batch of a replica at its context, and largest context at its batch, that leave room.

    Both are searched at once: a coarse column of sizes, then each size of the last gap.
    """
    most = (most_sequences, most_context)
    steps = tuple(max(1, math.isqrt(size)) for size in most)

    def fitting(batches: Any, contexts: Any) -> tuple[int, int]:
        sequences, context = np.empty((2, len(batches) + len(contexts)))
        sequences[: len(batches)], sequences[len(batches) :] = batches, run.replica_sequences
        context[: len(batches)], context[len(batches) :] = run.workload.longest_context_tokens, contexts
        room = np.broadcast_to(run.memory(sequences, context).free_bytes >= 0, sequences.shape)
        fits = batches[room[: len(batches)]], contexts[room[len(batches) :]]
        return int(fits[0].max(initial=0)), int(fits[1].max(initial=0))

    coarse = fitting(*(np.minimum(np.arange(s, m + s, s), m) for s, m in zip(steps, most, strict=True)))
    gaps = zip(coarse, steps, most, strict=True)
    fine = fitting(*(np.arange(c, min(c + s, m) + 1) for c, s, m in gaps))
    return max(coarse[0], fine[0]), max(coarse[1], fine[1])


def _fit(run: Run, memory: InferenceMemory) -> tuple[bool, str]:
    missing = -float(untraced(memory.free_bytes))
    if missing <= 0:
        return True, ""
    advice = []
    if float(memory.free_bytes) + float(memory.kv_cache_bytes) > 0:
        largest = _limits(run, memory)[0]
        if largest >= 1:
            advice.append(f"a batch of {largest}")
    for name in ("fp8", "q4_k_m"):
        slim = dataclasses.replace(run.plan, weight_format=name)
        about = subject(
            run.about.model,
            run.about.cluster,
            weight_format=name,
            compute_format="",
            kv_format=slim.kv_format,
            engine=slim.engine,
        )
        lighter = about.weights.bits < run.about.weights.bits
        if lighter and float(untraced(run_of(about, run.workload, slim).memory().free_bytes)) >= 0:
            advice.append(f"{name} weights")
            break
    cluster = run.about.cluster
    if len(cluster.groups) == 1:
        for factor in (2, 4, 8):
            wider = dataclasses.replace(run.plan, pp=run.plan.pp * factor)
            enough = wider.pp <= run.about.model.layers
            if enough and float(untraced(run_of(run.about, run.workload, wider).memory().free_bytes)) >= 0:
                cards = wider.tp * wider.pp * wider.dp
                where = "of this cluster" if cards <= cluster.count else f"(the cluster has {cluster.count})"
                advice.append(f"pp={wider.pp} on {cards} cards {where}")
                break
    what = f"needs {format_bytes(missing, binary=True)} more a card"
    return False, f"{what}; would fit: {', or '.join(advice)}" if advice else what


def _balance(about: Subject) -> float:
    """Sequences of a step where the slowest card's compute catches up with its memory."""
    tokens = max(
        float(
            untraced(
                balance_tokens(
                    peak_flop_per_s=card.matmul_flop_per_s * card.matmul_share,
                    memory_bytes_per_s=card.memory_bytes_per_s * card.memory_share,
                    weight_bytes_per_element=about.weights.bytes_per_element,
                )
            )
        )
        for card in about.devices
    )
    if about.model.is_moe:
        tokens *= total_parameters(about.model) / active_parameters(about.model)
    return tokens


def _bottleneck(run: Run, decode: StepTime) -> str:
    about = run.about
    tokens = run.replica_sequences / run.micro_batches * (1 + run.workload.draft_tokens)
    candidates = {
        "reading the weights from memory"
        if tokens < _balance(about)
        else "computing matrix products": decode.matmul_s,
        "reading the KV cache from memory": decode.attention_s,
        "norms and activations": decode.elementwise_s,
        "traffic between tensor-parallel cards": decode.communication_s,
        "hops between pipeline stages": decode.hop_s,
        "host overhead of the engine": decode.overhead_s,
    }
    return max(candidates, key=lambda name: float(candidates[name]))


def _power(run: Run, memory: InferenceMemory, step_s: float, basis: CostBasis) -> float:
    about, workload, plan = run.about, run.workload, run.plan
    step_tokens = run.replica_sequences * (1 + workload.draft_tokens)
    peak = min(card.matmul_flop_per_s for card in about.devices) * plan.tp * plan.pp
    compute = 2 * active_parameters(about.model) * step_tokens / peak / step_s
    read = float(memory.weight_bytes)
    if about.model.is_moe:
        touched = float(
            untraced(experts_touched(about.model.experts, about.model.experts_per_token, step_tokens))
        )
        idle = 1 - touched / about.model.experts
        read *= 1 - idle * (1 - active_parameters(about.model) / total_parameters(about.model))
    context = workload.decode_context_tokens / workload.longest_context_tokens
    # Each micro-batch in flight reads the card's weights again, and its own cache.
    moved = read * run.micro_batches + float(memory.kv_cache_bytes) * min(context, 1.0)
    bandwidth = min(card.memory_bytes_per_s for card in about.devices)
    share = min(moved / bandwidth / step_s, 1.0)
    return power_w(
        about.cluster,
        compute_share=min(compute, 1.0),
        memory_share=share,
        pue=basis.pue,
        used=plan.tp * plan.pp * plan.dp,
    )


def _assumptions(run: Run) -> tuple[str, ...]:
    about, plan = run.about, run.plan
    found = [efficiency_note(constants) for constants in dict.fromkeys(about.efficiencies)]
    found += refitted_note(about) + computed_wider(about)
    if about.model.is_moe:
        found.append("tokens are spread evenly over the experts")
    if plan.dp > 1:
        found.append(f"the batch is spread evenly over {plan.dp} replicas")
    if plan.pp > 1:
        flying = "one micro-batch" if run.micro_batches == 1 else f"{run.micro_batches} micro-batches"
        found.append(f"{flying} in flight in the pipeline")
    if len(about.cluster.groups) > 1 and not plan.stage_layers:
        split = ", ".join(str(int(place.stage.layers)) for place in run.placed)
        found.append(f"layers split over unlike cards by memory bandwidth: {split}")
    if run.workload.draft_tokens:
        found.append(f"each drafted token is accepted with chance {run.workload.acceptance_rate:g}")
    return tuple(found)


def _warnings(run: Run) -> tuple[str, ...]:
    about, workload, plan = run.about, run.workload, run.plan
    found = hardware_notes(about.cluster)
    if workload.longest_context_tokens > about.model.max_context:
        found.append(
            f"{workload.longest_context_tokens} tokens exceed the {about.model.max_context} that "
            f"{about.model.id} was trained for"
        )
    used = plan.tp * plan.pp * plan.dp
    if used < about.cluster.count:
        found.append(f"the plan leaves {about.cluster.count - used} of {about.cluster.count} cards idle")
    engine = about.engine
    if engine.id:
        for size, able, what in (
            (plan.tp, engine.tensor_parallel, "tensor parallelism"),
            (plan.pp, engine.pipeline_parallel, "pipeline parallelism"),
            (plan.ep, engine.expert_parallel, "expert parallelism"),
        ):
            if size > 1 and not able:
                found.append(f"{engine.name} {engine.version} has no {what}".strip())
        if engine.weight_formats and plan.weight_format not in engine.weight_formats.split():
            found.append(f"{engine.name} {engine.version} does not load {plan.weight_format} weights")
        for group in about.cluster.groups:
            if engine.vendors and group.accelerator.vendor.lower() not in engine.vendors.lower():
                found.append(f"{engine.name} does not run on {group.accelerator.name}")
    return tuple(found)
