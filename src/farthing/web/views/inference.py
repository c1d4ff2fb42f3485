"""Inference: memory, latency, throughput and money of serving a model."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from farthing import api
from farthing.planning import answer_record, launch_of, plan, priced
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
from farthing.web.derived import MEANINGS, TITLES, derived
from farthing.web.subject import cluster_of, model_of, without
from farthing.web.view import Explanation, Given, Shown, View
from farthing.web.views.inference_asks import ASKS


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
    launch = launch_of(given.get("launch", ""), model, machines, estimate, found)
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
    return answer_record(answer.estimate, _whole(given, answer), answer.launch)


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
    explained = estimate_parts.explanation(estimate, number, TERMS, MEANINGS)
    terms = explained.terms or tuple(derived(estimate, number))
    return dataclasses.replace(explained, title=TITLES.get(number, explained.title), terms=terms)


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
    needed=("model", "cluster"),
    first={"model": "llama-2-70b", "cluster": "1x8:rtx-4090", "context_tokens": 4096},
    command=("infer",),
    function="plan",
    positional=("model", "cluster"),
    schema=InferenceEstimate,
)
