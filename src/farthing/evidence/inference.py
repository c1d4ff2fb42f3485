"""Published measurements of inference: fixed batches, and systems under as much load as they take."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from farthing import api, catalog
from farthing.errors import FarthingError
from farthing.estimate.inference import HANDLING
from farthing.evidence.inference_setup import MOST_SEQUENCES, PAGED, Setup, setup_of
from farthing.evidence.outcome import compared, likeness_of, number, refused
from farthing.predict.compute import experts_touched
from farthing.predict.device import peak_flop_per_s
from farthing.predict.parameters import active_parameters, total_parameters
from farthing.records.comparison import Case, Comparison
from farthing.records.estimate import InferenceEstimate

GROUPS: Final = {
    "q=A": "fixed batch: latency, TTFT, TPOT",
    "q=B": "saturated or partly documented inference",
    "q=C": "incomplete inference rows",
}
"""Row of the accuracy table by how well a source documents a measurement."""

RATES: Final = ("output_tok_s", "total_tok_s", "decode_tok_s_total")
"""Metrics of which more is faster."""


def compare(cases: Sequence[Case]) -> list[Comparison]:
    """The prediction of each row, or the reason why there is none."""
    return [_compared(case) for case in cases]


def _compared(case: Case) -> Comparison:
    metric = case.cells.get("metric", "")
    group = GROUPS.get(case.cells.get("notes", "")[:3], GROUPS["q=B"])
    measured = math.nan
    try:
        measured = number(case, "value")
        if not measured > 0:
            raise FarthingError("nothing was measured")
        setup = setup_of(case)
        estimate, value, what = _predict(case, setup, metric)
    except FarthingError as error:
        return refused(case, metric, measured, str(error), group=group)
    simple = _simple(setup, estimate, metric, what, value)
    likeness = likeness_of(estimate, what)
    if what == "prefill" and (setup.rate or setup.closed):
        # The prompts of others are read before.
        likeness = replace(likeness, what="first token under load", regime=f"{likeness.regime}, arriving")
    return compared(
        case,
        metric,
        measured,
        value,
        simple=simple,
        group=group,
        likeness=likeness,
        rate=metric in RATES,
    )


def _infer(setup: Setup, batch: int, *, output: int | None = None, **changed: Any) -> InferenceEstimate:
    return api.infer(
        setup.model,
        setup.cluster,
        batch_size=max(1, batch),
        prompt_tokens=setup.prompt,
        output_tokens=setup.output if output is None else output,
        **{**setup.options, **changed},
    )


def _predict(case: Case, setup: Setup, metric: str) -> tuple[InferenceEstimate, float, str]:
    """The estimate behind a prediction, the prediction in the source's unit, and what it times."""
    if "PREFILL" in case.cells["notes"] or "DECODE" in case.cells["notes"]:
        raise FarthingError("the row is one part of a larger, disaggregated system")
    per_gpu = 1 / setup.cards if case.cells.get("scope") == "per_gpu" else 1.0
    if setup.rate:
        return _arriving(setup, metric)
    if setup.closed:
        return _kept_in_flight(setup, metric)
    if not setup.batch and metric in RATES:
        estimate = _saturated(setup)
        return estimate, estimate.served_tokens_per_s * per_gpu, "request"
    batch = max(setup.batch, 1)
    estimate = _infer(setup, batch)
    if metric == "ttft_ms":
        return estimate, _first_tokens_s(estimate) * 1e3, "prefill"
    if metric == "tpot_ms":
        return estimate, estimate.tpot_s * 1e3, "decode"
    if metric == "decode_tok_s_total":
        return estimate, batch / estimate.tpot_s * per_gpu, "decode"
    whole = _batch_s(setup, estimate, batch)
    if metric == "e2e_latency_ms":
        return estimate, whole * 1e3, "request"
    if metric in RATES:
        tokens = setup.output + (setup.prompt if metric == "total_tok_s" else 0)
        return estimate, batch * tokens / whole * per_gpu, "request"
    raise FarthingError(f"{metric} is not predicted")


def _first_tokens_s(estimate: InferenceEstimate) -> float:
    """From a batch's arrival to its first tokens: the engine handles a request, then reads all prompts."""
    handled = sum(part.value for part in estimate.prefill if part.name == HANDLING)
    return estimate.batch_prefill_s + handled


def _request_s(estimate: InferenceEstimate) -> float:
    return _first_tokens_s(estimate) + max(estimate.workload.output_tokens - 1, 0) * estimate.tpot_s


def _batch_s(setup: Setup, estimate: InferenceEstimate, batch: int) -> float:
    """Time of a whole batch [s]; what finds no room for its keys and values waits its turn."""
    room = estimate.largest_batch_size
    if setup.static or setup.engine not in PAGED or not 0 < room < batch:
        return _request_s(estimate)
    waves, rest = divmod(batch, room)
    last = _request_s(_infer(setup, rest)) if rest else 0.0
    return waves * _request_s(_infer(setup, room)) + last


def _saturated(setup: Setup) -> InferenceEstimate:
    """As many sequences at once as memory and engine allow, over the best split where none is given."""
    best: InferenceEstimate | None = None
    for split in _splits(setup):
        dp = split.get("dp", setup.options.get("dp", 1))
        # TensorRT-LLM keeps room for the longest answers; the others for those that are there, half done.
        kept = setup.output if setup.engine.startswith("tensorrt-llm") else math.ceil(setup.output / 2)
        room = _infer(setup, dp, output=kept, **split).largest_batch_size
        batch = min(room, MOST_SEQUENCES.get(setup.engine, 256) * dp)
        if batch < dp:
            continue
        found = _infer(setup, batch, **split)
        if best is None or found.served_tokens_per_s > best.served_tokens_per_s:
            best = found
    if best is None:
        raise FarthingError("the weights do not fit on these cards")
    return best


def _splits(setup: Setup) -> list[dict[str, int]]:
    """Sizes to try: what the row says, or the smaller ones of tensor parallelism with replicas."""
    if not setup.guess_split:
        return [{}]
    per_host = setup.cluster.groups[0].accelerators_per_host
    sizes = [tp for tp in (1, 2, 4, 8) if per_host % tp == 0]
    card = catalog.accelerator(setup.card)
    weights = catalog.number_format(setup.options["weight_format"]).bytes_per_element
    need = 1.15 * weights * total_parameters(catalog.model(setup.model))
    able = [tp for tp in sizes if tp * card.memory_bytes > need]
    return [{"tp": tp, "pp": 1, "dp": setup.cards // tp} for tp in able[:2]] or [{}]


def _kept_in_flight(setup: Setup, metric: str) -> tuple[InferenceEstimate, float, str]:
    """So many requests at any time: as one ends the next is read, which holds the others up."""
    users = max(setup.batch, setup.options.get("dp", 1))
    estimate = _infer(setup, users)
    served = users
    if 0 < estimate.largest_batch_size < users:
        served = estimate.largest_batch_size
        estimate = _infer(setup, served)
    # The prompts of the others: some are read before a request's own, the rest holds its answer up.
    others = _first_tokens_s(estimate) - estimate.ttft_s
    share = _waiting_share(setup)
    ttft = estimate.ttft_s + others * share + estimate.tpot_s / 2
    tpot = estimate.tpot_s + others * (1 - share) / setup.output
    answered = ttft + max(setup.output - 1, 0) * tpot
    # Who finds no room waits for whole answers of those before.
    queued = (users - served) / served * answered
    if metric == "ttft_ms":
        return estimate, (ttft + queued) * 1e3, "prefill"
    if metric == "tpot_ms":
        return estimate, tpot * 1e3, "decode"
    if metric == "e2e_latency_ms":
        return estimate, (answered + queued) * 1e3, "request"
    if metric in RATES:
        share = 1 + setup.prompt / setup.output if metric == "total_tok_s" else 1.0
        return estimate, estimate.served_tokens_per_s * share, "request"
    raise FarthingError(f"{metric} is not predicted")


def _waiting_share(setup: Setup) -> float:
    """Share of the other users' prompts that a request of a closed loop waits for, as serving has it."""
    card = setup.cluster.groups[0].accelerator
    weights = catalog.number_format(setup.options["weight_format"])
    return catalog.engine_efficiency(setup.engine, card, weights).waiting_share


REQUESTS: Final = 500
"""Requests of an open-loop run that sends them all at once."""


def _arriving(setup: Setup, metric: str) -> tuple[InferenceEstimate, float, str]:
    """Requests that come at a rate: as many are in flight as come while one is served (Little)."""
    if math.isinf(setup.rate):
        estimate = _infer(setup, REQUESTS)
        ttft = estimate.batch_prefill_s / 2
        tpot, rate = estimate.tpot_s + ttft / setup.output, REQUESTS / _batch_s(setup, estimate, REQUESTS)
    else:
        batch, rate = 1, setup.rate
        for _ in range(4):
            estimate = _infer(setup, batch)
            # Reading prompts keeps the cards busy for this share of the time, and decoding waits.
            reading = min(rate * _reading_s(estimate), 0.95)
            tpot = estimate.tpot_s / (1 - reading)
            batch = min(max(1, round(rate * (estimate.ttft_s + setup.output * tpot))), REQUESTS)
        ttft = estimate.ttft_s + _reading_s(estimate) * reading / 2 / (1 - reading) + estimate.tpot_s / 2
        rate = min(rate, REQUESTS / _request_s(_infer(setup, REQUESTS)))
    if metric == "ttft_ms":
        return estimate, ttft * 1e3, "prefill"
    if metric == "tpot_ms":
        return estimate, tpot * 1e3, "decode"
    if metric == "output_tok_s":
        return estimate, rate * setup.output, "request"
    raise FarthingError(f"{metric} is not predicted")


def _reading_s(estimate: InferenceEstimate) -> float:
    """Time that the cards are busy with one prompt [s]; what a request waits for besides is left out."""
    return sum(part.value for part in estimate.prefill if not part.name.startswith("waiting"))


def _ideal_s(setup: Setup, estimate: InferenceEstimate) -> tuple[float, float]:
    """What the peaks alone would take: to read the prompts of the batch, and to decode a token [s]."""
    card, model = catalog.accelerator(setup.card), catalog.model(estimate.model)
    weights = catalog.number_format(setup.options["weight_format"])
    work, load = 2 * active_parameters(model) / estimate.accelerators, estimate.workload
    peak = peak_flop_per_s(card, weights.compute)
    parts = {part.name: part.value for part in estimate.memory.parts}
    read = parts["weights"]
    if model.is_moe:
        touched = experts_touched(model.experts, model.experts_per_token, load.batch_size) / model.experts
        read *= max(touched, active_parameters(model) / total_parameters(model))
    read += parts["KV cache"] * load.decode_context_tokens / load.longest_context_tokens
    step = max(read * estimate.plan.pp / card.memory_bytes_per_s, work * load.batch_size / peak)
    return work * load.batch_size * load.prompt_tokens / peak, float(step)


def _simple(setup: Setup, estimate: InferenceEstimate, metric: str, what: str, value: float) -> float:
    """The prediction as the peaks alone would make it, in the source's unit."""
    prefill, step = _ideal_s(setup, estimate)
    steps = max(estimate.workload.output_tokens - 1, 0)
    share = {
        "prefill": prefill / estimate.batch_prefill_s,
        "decode": step / estimate.tpot_s,
        "request": (prefill + steps * step) / _request_s(estimate),
    }[what]
    return value / share if metric in RATES else value * share
