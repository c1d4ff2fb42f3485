"""Time, rate, power and energy of a serving load: of one plan, or of columns of plans and batches."""

from __future__ import annotations

from dataclasses import dataclass

from farthing.estimate.cost import CostBasis, power_w
from farthing.estimate.run import Run
from farthing.predict.compute import experts_touched
from farthing.predict.energy import energy_per_token_j
from farthing.predict.inference import StepTime, speculated_tokens
from farthing.predict.inference_memory import InferenceMemory
from farthing.predict.parameters import active_parameters, total_parameters
from farthing.predict.trace import Number, named, smaller, untraced


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What a plan does, scalar or column; columns may be of fewer dimensions than the plans.

    Attributes
    ----------
    memory
        Of the card with the least room [byte].
    first, decode
        Passes of one prompt's piece, and of one decode step's micro-batch [s].
    ttft_s, batch_prefill_s, tpot_s, step_s
        One prompt alone, all prompts, a token of each sequence, and a whole decode step, drafting included
        [s].
    cycle_s
        Reading all prompts and writing all answers [s].
    tokens_per_s, served_tokens_per_s, requests_per_s
        While decoding; with the prompts read in between; answered requests.
    paid_tokens_per_s
        Tokens that money buys: those served, or of an encoder those read.
    power_w, energy_per_token_j
        Of the whole cluster while decoding.
    """

    memory: InferenceMemory
    first: StepTime
    decode: StepTime
    ttft_s: Number
    batch_prefill_s: Number
    tpot_s: Number
    step_s: Number
    cycle_s: Number
    tokens_per_s: Number
    served_tokens_per_s: Number
    requests_per_s: Number
    paid_tokens_per_s: Number
    power_w: Number
    energy_per_token_j: Number


def figures(run: Run, basis: CostBasis, memory: InferenceMemory | None = None) -> Figures:
    """All figures of a run; ``memory`` where it is known already.

    Examples
    --------
    >>> import numpy as np
    >>> from farthing.catalog import model
    >>> from farthing.catalog.cluster import parse_cluster
    >>> from farthing.estimate.run import run_of
    >>> from farthing.estimate.subject import subject
    >>> from farthing.records.plan import InferencePlan
    >>> from farthing.records.workload import InferenceWorkload
    >>> about = subject(model("llama-2-7b"), parse_cluster("1x2:rtx-4090"), weight_format="bf16",
    ...                 compute_format="")
    >>> splits = InferencePlan(tp=np.array([1, 2]), dp=np.array([2, 1]))
    >>> both = figures(run_of(about, InferenceWorkload(batch_size=8), splits), CostBasis())
    >>> (both.tokens_per_s > 100).tolist()
    [True, True]
    """
    workload = run.workload
    memory = run.memory() if memory is None else memory
    first, alone = run.prefill(1)
    sequences = run.replica_sequences
    whole_batch = alone if isinstance(sequences, int) and sequences == 1 else run.prefill(sequences)[1]
    decode, step_s = run.decode()
    if workload.draft_tokens:
        yielded = speculated_tokens(workload.draft_tokens, workload.acceptance_rate)
        tpot, power_step_s = step_s / yielded, untraced(yielded)
    else:
        tpot, power_step_s = step_s, 1.0
    tpot = named("time per output token_s", tpot)
    tpot_s, prefill_s = untraced(tpot), untraced(whole_batch)
    tokens_per_s = run.batch_size / tpot_s
    # Requests of the batch finish one after the other: each cycle prefills the batch and decodes it.
    cycle_s = prefill_s + max(workload.output_tokens - 1, 0) * tpot_s
    served = run.batch_size * workload.output_tokens / cycle_s
    paid = served if workload.output_tokens else run.batch_size * workload.prompt_tokens / cycle_s
    draw = _power_w(run, memory, tpot_s * power_step_s, basis)
    return Figures(
        memory=memory,
        first=first,
        decode=decode,
        ttft_s=named("time to first token_s", alone + run.about.overheads.request_s),
        batch_prefill_s=prefill_s,
        tpot_s=tpot,
        step_s=step_s,
        cycle_s=cycle_s,
        tokens_per_s=tokens_per_s,
        served_tokens_per_s=served,
        requests_per_s=run.batch_size / cycle_s,
        paid_tokens_per_s=paid,
        power_w=draw,
        # Of an encoder it is that of a token read.
        energy_per_token_j=untraced(
            energy_per_token_j(draw, tokens_per_s if workload.output_tokens else paid)
        ),
    )


def _power_w(run: Run, memory: InferenceMemory, step_s: Number, basis: CostBasis) -> Number:
    plan = run.plan
    compute, moved = load_shares(run, memory, run.replica_sequences, step_s)
    return power_w(
        run.about.cluster,
        compute_share=compute,
        memory_share=moved,
        pue=basis.pue,
        used=plan.tp * plan.pp * plan.dp,
    )


def load_shares(
    run: Run, memory: InferenceMemory, sequences: Number, step_s: Number
) -> tuple[Number, Number]:
    """Shares of a card's arithmetic and of its memory bandwidth that a decode step of a replica uses."""
    about, workload, plan = run.about, run.workload, run.plan
    step_tokens = sequences * (1 + workload.draft_tokens)
    peak = min(card.matmul_flop_per_s for card in about.devices) * plan.tp * plan.pp
    compute = 2 * active_parameters(about.model) * step_tokens / peak / step_s
    read = untraced(memory.weight_bytes)
    if about.model.is_moe:
        touched = untraced(experts_touched(about.model.experts, about.model.experts_per_token, step_tokens))
        idle = 1 - touched / about.model.experts
        read = read * (1 - idle * (1 - active_parameters(about.model) / total_parameters(about.model)))
    context = workload.decode_context_tokens / workload.longest_context_tokens
    # Each micro-batch in flight reads the card's weights again, and its own cache.
    moved = read * run.micro_batches + untraced(memory.kv_cache_bytes) * min(context, 1.0)
    bandwidth = min(card.memory_bytes_per_s for card in about.devices)
    return smaller(untraced(compute), 1.0), smaller(moved / bandwidth / step_s, 1.0)
