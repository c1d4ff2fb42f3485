"""What a prediction says: numbers in SI units, their parts, assumptions and derivation."""

from __future__ import annotations

from dataclasses import dataclass

from farthing.records.error_bar import ErrorBar
from farthing.records.plan import DisaggregatedPlan, InferencePlan, TrainingPlan
from farthing.records.term import Term
from farthing.records.workload import InferenceWorkload, TrainingWorkload


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A named part of a whole; ``share`` is its share of it."""

    name: str
    value: float
    share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryUse:
    """Memory of the fullest card, by what it holds [byte]; ``free_bytes`` below 0 does not fit."""

    parts: tuple[Part, ...]
    total_bytes: float
    capacity_bytes: float
    free_bytes: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What the cluster costs one way.

    Attributes
    ----------
    way
        ``own`` or ``rent``.
    usd_per_s, hardware_usd_per_s
        Everything counted, and the part that is the hardware's price [USD/s].
    usd_per_million_tokens, tokens_per_usd
        Always busy: of the tokens that are put out with their prompts read in between (an encoder: of the
        tokens read), or of the tokens trained on.
    basis
        What is counted, with prices, their dates and sources.
    stale
        A price in it is older than six months.
    """

    way: str
    usd_per_s: float
    hardware_usd_per_s: float
    usd_per_million_tokens: float
    tokens_per_usd: float
    basis: str
    stale: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Sensitivity:
    """What a 10% better part gives: the factor on throughput, on time per token or step, on USD per token.

    ``usd_factor`` counts the first way of paying that the estimate lists, and 1 where no price is known.
    """

    part: str
    throughput_factor: float
    time_factor: float
    usd_factor: float


@dataclass(frozen=True, slots=True, kw_only=True)
class InferenceEstimate:
    """A serving load on a cluster.

    Attributes
    ----------
    model, cluster
        Names.
    workload, plan
        What was asked, with every default filled in.
    fits, misfit
        Whether memory suffices, and if not by how much and what would fit.
    memory
        Of the card with the least room.
    ttft_s
        Time to the first token of one prompt that has the cluster to itself.
    batch_prefill_s
        Time to prefill all prompts of the batch.
    tpot_s
        Time between two tokens of a sequence.
    decode, prefill
        Parts of ``tpot_s`` (one step; tokens that speculation adds are not counted) and of ``ttft_s``.
    tokens_per_s, tokens_per_s_per_sequence
        Tokens decoded, of all sequences and of one.
    served_tokens_per_s, requests_per_s
        Tokens put out and requests done when each request's prefill takes its share of the time.
    largest_batch_size, largest_context_tokens
        What fits beside the weights: sequences at this context, context at this batch.
    balance_batch_size
        Sequences in a step from which on computing and not memory limits the matrix products.
    bottleneck
        What the largest part of a decode step waits for.
    power_w, energy_per_token_j
        Of the whole cluster while decoding.
    costs
        Owned and rented, where prices are known.
    sensitivity
        Where asked for.
    assumptions, warnings
        What the estimate rests on; what the user should know.
    intervals
        80% intervals of ``ttft_s``, ``tpot_s`` and ``tokens_per_s``, learned from like cases.
    terms
        The derivation, where asked for.
    """

    model: str
    cluster: str
    workload: InferenceWorkload
    plan: InferencePlan
    accelerators: int
    fits: bool
    misfit: str
    memory: MemoryUse
    ttft_s: float
    batch_prefill_s: float
    tpot_s: float
    prefill: tuple[Part, ...]
    decode: tuple[Part, ...]
    tokens_per_s: float
    tokens_per_s_per_sequence: float
    served_tokens_per_s: float
    requests_per_s: float
    largest_batch_size: int
    largest_context_tokens: int
    balance_batch_size: float
    bottleneck: str
    power_w: float
    energy_per_token_j: float
    costs: tuple[Cost, ...]
    sensitivity: tuple[Sensitivity, ...] = ()
    assumptions: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    intervals: tuple[ErrorBar, ...] = ()
    terms: tuple[Term, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DisaggregatedEstimate:
    """A serving load on workers that read prompts and others that decode.

    Attributes
    ----------
    model, cluster
        Names.
    workload, plan
        What was asked; ``batch_size`` users each wait for an answer before they ask again.
    fits, misfit
        Whether memory suffices on both sides, and if not by how much.
    prefill_memory, decode_memory
        Of the card with the least room on each side.
    ttft_s, loaded_ttft_s
        Time to the first token of a prompt that finds a worker free, and behind those of the other users.
    transfer_bytes, transfer_s
        Keys and values of a prompt that are handed over.
    tpot_s
        Time between two tokens of a sequence.
    decoding
        Sequences that are being decoded, on average; the other users wait for their first token.
    requests_per_s, served_tokens_per_s
        Answered, and tokens put out.
    prefill_requests_per_s, decode_requests_per_s
        What each side could do if it never waited for the other.
    bottleneck
        The side that limits the other.
    power_w, energy_per_token_j
        Of the whole cluster, the reading of prompts counted.
    costs
        Owned and rented, where prices are known.
    assumptions, warnings
        What the estimate rests on; what the user should know.
    """

    model: str
    cluster: str
    workload: InferenceWorkload
    plan: DisaggregatedPlan
    accelerators: int
    fits: bool
    misfit: str
    prefill_memory: MemoryUse
    decode_memory: MemoryUse
    ttft_s: float
    loaded_ttft_s: float
    transfer_bytes: float
    transfer_s: float
    tpot_s: float
    decoding: float
    requests_per_s: float
    prefill_requests_per_s: float
    decode_requests_per_s: float
    served_tokens_per_s: float
    bottleneck: str
    power_w: float
    energy_per_token_j: float
    costs: tuple[Cost, ...]
    assumptions: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Reliability:
    """What failures cost a long run.

    Attributes
    ----------
    mtbf_s
        Mean time between failures of all cards together.
    checkpoint_time_s, checkpoint_interval_s
        Time to write a checkpoint, best work between two (Daly).
    effective_time_share
        Share of the wall-clock time that makes lasting progress.
    """

    mtbf_s: float
    checkpoint_time_s: float
    checkpoint_interval_s: float
    effective_time_share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingEstimate:
    """A training run on a cluster.

    Attributes
    ----------
    model, cluster
        Names.
    workload, plan
        What was asked, with every default filled in.
    fits, misfit
        Whether memory suffices, and if not by how much and what would fit.
    memory
        Of the fullest card.
    step_s, parts
        One optimizer step, and what it goes to.
    mfu, hfu
        Model FLOPs, and executed FLOPs, over the peak; 0..1.
    tokens_per_s, tokens_per_s_per_accelerator
        Tokens trained on.
    model_flop
        Work that the model owes for a step.
    run_s, accelerator_s
        Wall-clock time of the whole run, failures counted, and the cards' time; 0 without a token count.
    reliability
        Of a whole run; None without a token count.
    power_w, energy_j
        Of the whole cluster; energy of the run, or of a step.
    run_usd
        By way (``own``, ``rent``) for the run; empty without a token count.
    costs, sensitivity, assumptions, warnings, terms, bottleneck
        As in an inference estimate.
    intervals
        80% intervals of ``step_s``, ``tokens_per_s`` and the memory's ``total_bytes``, from like cases.
    """

    model: str
    cluster: str
    workload: TrainingWorkload
    plan: TrainingPlan
    accelerators: int
    fits: bool
    misfit: str
    memory: MemoryUse
    step_s: float
    parts: tuple[Part, ...]
    mfu: float
    hfu: float
    tokens_per_s: float
    tokens_per_s_per_accelerator: float
    model_flop: float
    run_s: float
    accelerator_s: float
    reliability: Reliability | None
    power_w: float
    energy_j: float
    run_usd: dict[str, float]
    costs: tuple[Cost, ...]
    bottleneck: str
    sensitivity: tuple[Sensitivity, ...] = ()
    assumptions: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    intervals: tuple[ErrorBar, ...] = ()
    terms: tuple[Term, ...] = ()
