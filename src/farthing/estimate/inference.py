"""One inference estimate."""

from __future__ import annotations

import dataclasses
import math
from typing import Any, Final

import numpy as np

from farthing.estimate.cost import CostBasis, costs
from farthing.estimate.engine import refusals
from farthing.estimate.figures import figures
from farthing.estimate.likeness import error_bar, inference_likeness
from farthing.estimate.run import Run, check, run_of
from farthing.estimate.subject import (
    Subject,
    computed_wider,
    efficiency_note,
    hardware_notes,
    refitted_note,
    subject,
)
from farthing.predict.compute import balance_tokens
from farthing.predict.inference import StepTime, sequences_that_fit
from farthing.predict.inference_memory import InferenceMemory
from farthing.predict.parameters import active_parameters, total_parameters
from farthing.predict.trace import named, term_of, tracing, untraced
from farthing.records.error_bar import ErrorBar
from farthing.records.estimate import InferenceEstimate, MemoryUse, Part
from farthing.records.hardware import Cluster
from farthing.records.model import Model
from farthing.records.plan import InferencePlan
from farthing.records.term import Term
from farthing.records.workload import InferenceWorkload
from farthing.units import format_bytes

HANDLING: Final = "handling of the request by the engine"
"""Part of the time to the first token."""


def traffic(plan: InferencePlan) -> str:
    """What exchanges inside a stage are for, in words.

    Examples
    --------
    >>> traffic(InferencePlan(tp=8)), traffic(InferencePlan(dp=8, ep=8))
    ('traffic between tensor-parallel cards', "traffic between the experts' cards")
    """
    if plan.ep == 1:
        return "traffic between tensor-parallel cards"
    return "traffic between the experts' cards" if plan.tp == 1 else "tensor- and expert-parallel traffic"


def _parts(
    plan: InferencePlan,
    step: StepTime,
    whole: float,
    extra: float = 0.0,
    *,
    drafting: float = 0.0,
    request: float = 0.0,
) -> tuple[Part, ...]:
    named_parts = (
        ("matrix products", step.matmul_s),
        ("attention", step.attention_s),
        ("norms and activations", step.elementwise_s),
        (traffic(plan), step.communication_s),
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
    check(model, cluster, workload, plan)
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
    found = figures(run, basis)
    memory = found.memory
    terms = [
        named("memory of the fullest card_bytes", memory.total_bytes),
        found.ttft_s,
        found.tpot_s,
        named("tokens a second", workload.batch_size / found.tpot_s, "token/s"),
    ]
    ttft_s, tpot_s, draw = float(found.ttft_s), float(found.tpot_s), float(found.power_w)
    tokens_per_s, request_s = float(found.tokens_per_s), about.overheads.request_s
    room = largest_sizes(run, memory)
    fits, misfit = _fit(run, memory)
    return InferenceEstimate(
        model=about.model.id,
        cluster=about.cluster.name,
        workload=workload,
        plan=plan,
        accelerators=plan.tp * plan.pp * plan.dp,
        fits=fits,
        misfit=misfit,
        memory=memory_use(memory),
        ttft_s=ttft_s,
        batch_prefill_s=float(found.batch_prefill_s),
        tpot_s=tpot_s,
        prefill=_prefill_parts(plan, found.first, ttft_s, request_s),
        decode=_decode_parts(run, found.decode, float(found.step_s)),
        tokens_per_s=tokens_per_s,
        tokens_per_s_per_sequence=1 / tpot_s,
        served_tokens_per_s=float(found.served_tokens_per_s),
        requests_per_s=float(found.requests_per_s),
        largest_batch_size=room[0],
        largest_context_tokens=room[1],
        balance_batch_size=_balance(about),
        bottleneck=_bottleneck(run, found.decode),
        power_w=draw,
        energy_per_token_j=float(found.energy_per_token_j),
        costs=costs(about.cluster, draw, float(found.paid_tokens_per_s), basis),
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


def _prefill_parts(plan: InferencePlan, step: StepTime, whole_s: float, request_s: float) -> tuple[Part, ...]:
    waiting = max(whole_s - request_s - float(step.total_s), 0.0)
    return _parts(plan, step, whole_s, waiting, request=request_s)


def _decode_parts(run: Run, step: StepTime, whole_s: float) -> tuple[Part, ...]:
    drafted = 1 + run.workload.draft_tokens * run.workload.draft_cost_share
    drafting = whole_s * (1 - 1 / drafted)
    return _parts(
        run.plan, step, whole_s, max(whole_s - drafting - float(step.total_s), 0.0), drafting=drafting
    )


def memory_use(memory: InferenceMemory) -> MemoryUse:
    """What the fullest card holds, by part."""
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


def largest_sizes(run: Run, memory: InferenceMemory) -> tuple[int, int]:
    """Largest batch at this context, and largest context at this batch; 0 where weights leave no room."""
    # What more of them would take beside their cache is found out by trying.
    free = float(memory.capacity_bytes) - float(memory.weight_bytes)
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
    largest = largest_sizes(run, memory)[0]
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
        traffic(run.plan): decode.communication_s,
        "hops between pipeline stages": decode.hop_s,
        "host overhead of the engine": decode.overhead_s,
    }
    return max(candidates, key=lambda name: float(candidates[name]))


def _assumptions(run: Run) -> tuple[str, ...]:
    about, plan = run.about, run.plan
    found = [efficiency_note(constants) for constants in dict.fromkeys(about.efficiencies)]
    found += refitted_note(about) + computed_wider(about)
    if about.model.is_moe:
        spread = run.workload.routing_spread
        found.append(
            f"some experts get more tokens than others: routing_spread {spread:g}"
            if spread
            else "tokens are spread evenly over the experts"
        )
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
    found += [words for words, asked in refusals(about.engine, about.cluster, plan) if asked]
    return tuple(found)
