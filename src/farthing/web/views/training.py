"""Training: memory, step time, utilisation, time, failures and money of a run."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from farthing import api
from farthing.planning import answer_record, launch_of, plan
from farthing.records.chart import Chart
from farthing.records.error_bar import ErrorBar
from farthing.records.estimate import TrainingEstimate
from farthing.records.hardware import Cluster
from farthing.records.launch import Launch
from farthing.records.search import SearchResult
from farthing.report.estimate import hardware, sensitivity_cells
from farthing.report.training import energy_words, training_answer, training_facts
from farthing.report.training_charts import stages_chart, timeline_chart
from farthing.units import HOUR, format_seconds, format_usd, format_watts
from farthing.web import estimate_parts
from farthing.web.estimate_parts import MONEY_ASKS
from farthing.web.subject import cluster_of, model_of, without
from farthing.web.view import Explanation, Given, Shown, View
from farthing.web.views.training_asks import ASKS

_MONEY: Final = frozenset(ask.name for ask in MONEY_ASKS) | {"ideal"}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answer:
    """The estimate, what else the search found, and the commands, for one cluster."""

    cluster: Cluster
    estimate: TrainingEstimate
    found: SearchResult | None
    launch: Launch | None


def _ask(given: Given) -> _Answer:
    machines = cluster_of(given)
    options = {"sensitivity": True} | without(given, "model", "cluster", "changes", "launch")
    model = model_of(given)
    estimate, found = plan(model, machines, task="training", **options)
    launch = launch_of(given.get("launch", ""), model, machines, estimate, found)
    return _Answer(cluster=machines, estimate=estimate, found=found, launch=launch)


def _record(given: Given, answer: _Answer) -> Any:
    return answer_record(answer.estimate, answer.found, answer.launch)


def _charts(given: Given, answer: _Answer) -> Sequence[Chart]:
    """Memory of each stage, and the step pass by pass; one stage has its bars."""
    found = answer.estimate
    if found.plan.pp == 1 or not found.fits:
        return ()
    shape, machines = model_of(given), answer.cluster
    question: dict[str, Any] = {
        "workload": found.workload,
        "plan": found.plan,
        "ideal": given.get("ideal", False),
    }
    stages = api.stage_memory(shape, machines, **question)
    return stages_chart(found, stages), timeline_chart(api.step_timeline(shape, machines, **question))


def _later(given: Given, answer: _Answer) -> Mapping[str, Any]:
    """Charts that take as long as a tenth of the search."""
    return {"charts": _charts(given, answer)}


def _show(given: Given, answer: _Answer) -> Shown:
    estimate, found = answer.estimate, answer.found
    miss = found.miss if found and not found.best else None
    verdict = training_answer(estimate) if estimate.fits else estimate.misfit
    if estimate.fits and estimate.run_usd:
        way, usd = min(estimate.run_usd.items(), key=lambda one: one[1])
        verdict += f"; {format_usd(usd)} ({way})"
    if miss and estimate.fits:
        verdict = f"No plan keeps the limits; the nearest {miss.breaks}: {verdict}"
    return Shown(
        headline=f"{estimate.model} on {hardware(answer.cluster)}",
        verdict=verdict,
        good=estimate.fits and not miss,
        more={
            "estimate": estimate,
            "intervals": {bar.name: bar for bar in (*estimate.intervals, *_of_run(estimate))},
            "energy": energy_words(estimate.energy_j),
            "facts": tuple(training_facts(estimate)) if estimate.fits else (),
            "staged": estimate.plan.pp > 1 and estimate.fits,
            "better": sensitivity_cells(estimate, "time a step"),
            "launch": answer.launch,
            **estimate_parts.search_context(found, estimate),
        },
    )


def _of_run(estimate: TrainingEstimate) -> Iterator[ErrorBar]:
    """The interval of the run: that of its steps, as many as there are."""
    step = next((bar for bar in estimate.intervals if bar.name == "step_s"), None)
    if step is None or step.low is None or step.high is None or not estimate.run_s:
        return
    each = estimate.run_s / estimate.step_s
    yield dataclasses.replace(step, name="run_s", low=step.low * each, high=step.high * each)


def _rows(answer: _Answer) -> Sequence[Mapping[str, Any]]:
    estimate = answer.estimate
    names = (
        "step_s",
        "run_s",
        "accelerator_s",
        "tokens_per_s",
        "tokens_per_s_per_accelerator",
        "mfu",
        "hfu",
        "model_flop",
        "power_w",
        "energy_j",
    )
    rows = estimate_parts.quantity_rows(estimate, names)
    rows += [_row(f"{way}: run_usd", usd, "USD") for way, usd in estimate.run_usd.items()]
    rows += [_row(f"step: {part.name}", part.value, "s") for part in estimate.parts]
    failures = estimate.reliability
    if failures is not None:
        for field in ("mtbf_s", "checkpoint_time_s", "checkpoint_interval_s"):
            rows.append(_row(field, getattr(failures, field), "s"))
        rows.append(_row("effective_time_share", failures.effective_time_share, ""))
    return rows


def _row(name: str, value: float, unit: str) -> Mapping[str, Any]:
    return {"name": name, "value": value, "unit": unit, "low_80": None, "high_80": None}


_TERMS: Final = {
    "memory": "memory of the fullest card",
    "step_s": "step time",
    "tokens_per_s": "tokens a second",
    "mfu": "MFU",
    "hfu": "HFU",
    "run_s": "time of the run",
    "reliability": "effective time share",
}

_TITLES: Final = {
    "run_usd": "money of the run",
    "costs": "money of a million tokens",
    "energy_j": "energy",
    "reliability": "lasting progress",
}

_MEANINGS: Final = {
    "step_s": "Wall-clock time of one optimizer step.",
    "mfu": "Work that the model owes, without what is computed twice, over what all cards could do at their "
    "peak in that time.",
    "hfu": "Work that is executed, what is computed twice counted, over that peak.",
    "run_s": "All steps one after the other, over the share of the time that makes lasting progress. Its "
    "interval is that of a step.",
    "tokens_per_s": "Tokens trained on while nothing fails.",
    "memory": "Of the card that holds the most.",
    "reliability": "Share of the wall-clock time that makes lasting progress; the rest goes to checkpoints, "
    "to restarts, and to work that is done again.",
    "run_usd": "What the cluster costs a second, times the time of the run.",
    "costs": "What the cluster costs a second, over the tokens trained on in it.",
    "energy_j": "Power of the whole cluster at the meter, times the time of the run, or of a step.",
}


def _explain(given: Given, answer: _Answer, number: str) -> Explanation:
    found = answer.estimate
    asked = {name: value for name, value in given.items() if name in _MONEY}
    told = api.train(
        model_of(given), answer.cluster, workload=found.workload, plan=found.plan, explain=True, **asked
    )
    explained = estimate_parts.explanation(told, number, _TERMS, _MEANINGS)
    failures = found.reliability
    notes = list(explained.notes)
    if number == "energy_j":
        over = format_seconds(found.run_s or found.step_s)
        notes.append(f"{format_watts(found.power_w)} for {over}: {energy_words(found.energy_j)}.")
    if number == "run_usd":
        notes += [
            f"{cost.way}: {format_usd(cost.usd_per_s * HOUR)} an hour for {format_seconds(found.run_s)}: "
            f"{format_usd(found.run_usd[cost.way])}."
            for cost in found.costs
        ]
    if number in ("reliability", "run_s") and failures is not None:
        notes += [row for row in found.assumptions if row.startswith("failures")]
    return dataclasses.replace(explained, title=_TITLES.get(number, explained.title), notes=notes)


VIEW: Final = View(
    name="training",
    title="Training",
    lead="What training a model takes: the plan, memory, time, failures, energy and money.",
    asks=ASKS,
    ask=_ask,
    show=_show,
    later=_later,
    record=_record,
    rows=_rows,
    explain=_explain,
    first={"model": "llama-2-70b", "cluster": "64x8:h100-sxm@ib-ndr", "training_tokens": "2T"},
    verb="Search",
    slow=True,
    command=("train",),
    function="plan",
    positional=("model", "cluster"),
    python={"task": "training"},
    needed=("model", "cluster"),
    schema=TrainingEstimate,
)
