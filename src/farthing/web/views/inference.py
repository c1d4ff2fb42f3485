"""Inference: memory, latency, throughput and money of serving a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from farthing import api
from farthing.planning import plan, priced
from farthing.records.batch_point import BatchPoint
from farthing.records.chart import Chart
from farthing.records.estimate import InferenceEstimate
from farthing.records.hardware import Cluster
from farthing.records.launch import Launch
from farthing.records.search import SearchResult
from farthing.report.estimate import hardware
from farthing.report.inference import inference_answer, serving_facts
from farthing.report.inference_charts import batch_chart, sensitivity_chart
from farthing.report.search import plan_words, search_table
from farthing.web import estimate_parts
from farthing.web.asks import Ask
from farthing.web.estimate_parts import LIMITS, MODEL_ASKS, MONEY_ASKS, launch_of
from farthing.web.kinds import cluster, count, counts, flag, name, number, seconds, several, word
from farthing.web.subject import cluster_of, model_of, without
from farthing.web.view import Explanation, Given, Shown, View

OBJECTIVES: Final = ("tokens-per-s", "ttft", "tpot", "usd", "energy", "memory")

WORKLOAD_ASKS: Final = (
    Ask(
        name="batch_size",
        title="Batch",
        text="Sequences decoded together, over the whole cluster; several with commas leave a choice.",
        kind=several(count()),
        flag="--batch",
        default="1; searched with a goal or a limit",
        slider=(1, 1024),
    ),
    Ask(
        name="context_tokens",
        title="Context",
        text="Tokens in the cache of a sequence at the step that is timed.",
        kind=count(),
        flag="--context",
        default="prompt + output / 2",
        slider=(128, 131072),
    ),
    Ask(
        name="prompt_tokens",
        title="Prompt",
        text="Tokens of one request's prompt.",
        kind=count(),
        flag="--prompt",
        default="1024",
    ),
    Ask(
        name="output_tokens",
        title="Output",
        text="Tokens of one request's answer.",
        kind=count(0),
        flag="--output",
        default="256",
    ),
    Ask(
        name="weight_format",
        title="Weights",
        text="Number format of the weights, e.g. fp8 or q4_k_m.",
        kind=several(name("choices")),
        flag="--weights",
        default="as published",
    ),
    Ask(
        name="kv_format",
        title="KV cache",
        text="Number format of the keys and values.",
        kind=several(name("choices")),
        flag="--kv",
        default="fp16",
    ),
)

_SPLIT: Final = "Plan"
_MORE: Final = "More of the load"

PLAN_ASKS: Final = (
    *(
        Ask(name=field, title=title, text=text, kind=several(count()), section=_SPLIT, default="searched")
        for field, title, text in (
            ("tp", "Tensor parallel", "Cards that share each matrix."),
            ("pp", "Pipeline stages", "Groups of layers that follow one another."),
            ("dp", "Replicas", "Copies of the model; with expert parallelism, of its attention."),
            ("ep", "Expert parallel", "Cards that the experts are dealt out over."),
        )
    ),
    Ask(
        name="engine",
        title="Engine",
        text="Engine whose overheads and limits count.",
        kind=several(name("choices")),
        section=_SPLIT,
        default="the usual one",
    ),
    Ask(
        name="micro_batches",
        title="Micro-batches",
        text="Batches in flight in the pipeline; 0 is one a stage.",
        kind=several(count(0)),
        section=_SPLIT,
        default="searched",
    ),
    Ask(
        name="chunk_tokens",
        title="Prefill chunk",
        text="Tokens of a prefill chunk; 0 is the whole prompt.",
        kind=several(count(0)),
        section=_SPLIT,
        default="searched",
    ),
    Ask(
        name="stage_layers",
        title="Layers a stage",
        text="Layers of each pipeline stage, with commas.",
        kind=counts(),
        section=_SPLIT,
        default="even, or the best over unlike cards",
    ),
    Ask(
        name="compute_format",
        title="Computing",
        text="Number format of the matrix products.",
        kind=name("choices"),
        section=_SPLIT,
        default="what the weights compute in",
    ),
    Ask(
        name="dense_format",
        title="Dense weights",
        text="Number format of all weights but the routed experts'.",
        kind=name("choices"),
        section=_SPLIT,
        default="as the weights",
    ),
    Ask(
        name="overlap_communication",
        title="Overlap",
        text="Share of the tensor-parallel traffic that hides under compute.",
        kind=number(0, 1),
        section=_SPLIT,
        default="0",
    ),
    Ask(
        name="search",
        title="Search",
        text="Search what is left out of the plan, or take its default.",
        kind=flag(),
        flag="/--no-search",
        section=_SPLIT,
        default="yes",
    ),
)

_GOAL: Final = "Goal and limits"

GOAL_ASKS: Final = (
    Ask(
        name="objective",
        title="Goal",
        text="What the best plan is best in.",
        kind=word(OBJECTIVES),
        section=_GOAL,
        default="tokens-per-s",
    ),
    Ask(
        name="ttft_s",
        title="First token within",
        text="Longest time to the first token, e.g. 2s.",
        kind=seconds(),
        flag="--ttft",
        section=_GOAL,
    ),
    Ask(
        name="tpot_s",
        title="A token within",
        text="Longest time between two tokens, e.g. 50ms.",
        kind=seconds(),
        flag="--tpot",
        section=_GOAL,
    ),
    Ask(
        name="max_batch_size",
        title="Largest batch",
        text="Largest batch that a search tries.",
        kind=count(),
        flag="--max-batch",
        section=_GOAL,
    ),
    *LIMITS,
    Ask(
        name="front",
        title="Front",
        text="Two or three goals with commas: also the plans that none beats in all of these.",
        kind=several(word(OBJECTIVES), always=True),
        section=_GOAL,
    ),
    Ask(
        name="top",
        title="Plans",
        text="Plans that are compared, each of another kind.",
        kind=count(1, 20),
        section=_GOAL,
        default="5",
    ),
)

MORE_ASKS: Final = (
    Ask(
        name="prefix_share",
        title="Cached prompt",
        text="Share of the prompt that is cached already.",
        kind=number(0, 1),
        section=_MORE,
        default="0",
    ),
    Ask(
        name="routing_spread",
        title="Routing spread",
        text="Unevenness of the experts' popularity among the tokens of a step; 0 is even.",
        kind=number(0, 1e3),
        section=_MORE,
        default="0.5",
    ),
    Ask(
        name="draft_tokens",
        title="Draft tokens",
        text="Tokens that a draft model proposes a step (speculative decoding).",
        kind=count(0, 64),
        section=_MORE,
        default="0",
    ),
    Ask(
        name="acceptance_rate",
        title="Acceptance",
        text="Chance that a drafted token is accepted.",
        kind=number(0, 1),
        section=_MORE,
        default="0.7",
    ),
    Ask(
        name="draft_cost_share",
        title="Draft cost",
        text="Time of a draft step as a share of the model's.",
        kind=number(0, 10),
        section=_MORE,
        default="0.05",
    ),
)

_OUTPUT_ASKS: Final = (
    Ask(
        name="ideal",
        title="Paper arithmetic",
        text="Every efficiency is 1.",
        kind=flag(),
        flag="--ideal/",
        section=_MORE,
        default="no",
    ),
    Ask(
        name="launch",
        title="Commands of",
        text="The plan as commands of an engine.",
        kind=word(api.launchers("inference")),
        section=_SPLIT,
        default="none",
        in_python=False,
    ),
)

ASKS: Final = (
    *MODEL_ASKS,
    Ask(
        name="cluster",
        title="Cluster",
        text="Hosts x cards, the accelerator, and the network between hosts: 2x8:h100-sxm@ib-ndr.",
        kind=cluster(),
        flag="--on",
    ),
    *WORKLOAD_ASKS,
    *PLAN_ASKS,
    *GOAL_ASKS,
    *MORE_ASKS,
    *MONEY_ASKS,
    *_OUTPUT_ASKS,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answer:
    """The estimate, what else the search found, and the commands, for one cluster."""

    cluster: Cluster
    estimate: InferenceEstimate
    found: SearchResult | None
    launch: Launch | None
    curve: Sequence[BatchPoint] = ()


def _options(given: Given) -> dict[str, Any]:
    return without(given, "model", "cluster", "changes", "launch")


def _ask(given: Given) -> _Answer:
    model, machines, options = model_of(given), cluster_of(given), _options(given)
    # What is told beside the best plan takes longer than the plan itself: it comes later.
    quickly = options if options.get("search") is False else options | {"others": False}
    estimate, found = plan(model, machines, sensitivity=True, **quickly)
    curve: tuple[BatchPoint, ...] = ()
    if estimate.fits:
        curve = api.batch_curve(
            model, machines, workload=estimate.workload, plan=estimate.plan, **priced(options)
        )
    launch = launch_of(given, machines, estimate, found)
    return _Answer(cluster=machines, estimate=estimate, found=found, launch=launch, curve=curve)


def _later(given: Given, answer: _Answer) -> Mapping[str, Any]:
    """Plans with workers that read prompts for others, and with machines moved or left out."""
    found = _whole(given, answer)
    if found is None:
        return {"others": None, "rows": ()}
    header, rows = search_table(found)
    return {
        "others": found,
        "header": header,
        "rows": [row for row in rows if row[0] in ("+", "~")],
        "miss_words": plan_words(found.miss.choice) if found.miss else "",
    }


def _whole(given: Given, answer: _Answer) -> SearchResult | None:
    """The search with all that it tells beside the best plan."""
    if answer.found is None:
        return None
    found = plan(model_of(given), answer.cluster, sensitivity=True, **_options(given))[1]
    assert found is not None  # it was searched before
    return found


def _record(given: Given, answer: _Answer) -> Any:
    return estimate_parts.record(answer.estimate, _whole(given, answer), answer.launch)


def _show(given: Given, answer: _Answer) -> Shown:
    estimate, found = answer.estimate, answer.found
    miss = found.miss if found and not found.best else None
    verdict = inference_answer(estimate) if estimate.fits else estimate.misfit
    if miss and estimate.fits:
        verdict = f"No plan keeps the limits; the nearest {miss.breaks}: {verdict}"
    return Shown(
        headline=f"{estimate.model} on {hardware(answer.cluster)}",
        verdict=verdict,
        good=estimate.fits and not miss,
        charts=_charts(answer),
        more={
            "estimate": estimate,
            "intervals": {bar.name: bar for bar in estimate.intervals},
            "facts": tuple(serving_facts(estimate)) if estimate.fits else (),
            "launch": answer.launch,
            **estimate_parts.search_context(found, estimate),
        },
    )


def _charts(answer: _Answer) -> Sequence[Chart]:
    """Those of what the page does not show as bars already."""
    charts = [batch_chart(answer.estimate, answer.curve)] if answer.curve else []
    if answer.estimate.sensitivity:
        charts.append(sensitivity_chart(answer.estimate.sensitivity))
    return charts


def _rows(answer: _Answer) -> Sequence[Mapping[str, Any]]:
    return estimate_parts.quantity_rows(
        answer.estimate,
        (
            "tokens_per_s",
            "tokens_per_s_per_sequence",
            "tpot_s",
            "ttft_s",
            "batch_prefill_s",
            "served_tokens_per_s",
            "requests_per_s",
            "largest_batch_size",
            "largest_context_tokens",
            "balance_batch_size",
            "power_w",
            "energy_per_token_j",
        ),
    )


TERMS: Final = {
    "memory": "memory of the fullest card",
    "ttft_s": "time to first token",
    "tpot_s": "time per output token",
    "tokens_per_s": "tokens a second",
}


def _explain(given: Given, answer: _Answer, number: str) -> Explanation:
    estimate, _ = plan(model_of(given), cluster_of(given), explain=True, **_options(given))
    return estimate_parts.explanation(estimate, number, TERMS)


VIEW: Final = View(
    name="inference",
    title="Inference",
    lead="What serving a model takes: memory, latency, throughput, energy and money.",
    asks=ASKS,
    ask=_ask,
    show=_show,
    later=_later,
    record=_record,
    rows=_rows,
    explain=_explain,
    first={"model": "llama-2-70b", "cluster": "1x8:rtx-4090", "context_tokens": 4096},
    command=("infer",),
    function="plan",
    positional=("model", "cluster"),
    schema=InferenceEstimate,
)
