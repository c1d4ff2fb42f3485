"""Compare: what clusters do with a model, side by side."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlencode

from farthing import api
from farthing.errors import UnknownName
from farthing.planning import MOST_CLUSTERS, compare, priced, with_curves
from farthing.records.cluster_comparison import ClusterPlan
from farthing.records.hardware import Cluster
from farthing.records.term import Term
from farthing.report.cluster_comparison import comparison_charts, comparison_rows
from farthing.report.estimate import hardware
from farthing.units import format_usd
from farthing.web.asks import Ask
from farthing.web.derived import MEANINGS, derived
from farthing.web.estimate_parts import MODEL_ASKS, MONEY_ASKS, meaning
from farthing.web.kinds import cluster, flag, repeated
from farthing.web.subject import clusters_of, model_of, without
from farthing.web.view import Explanation, Given, Shown, View
from farthing.web.views.inference import TERMS
from farthing.web.views.inference_asks import GOAL_ASKS, MORE_ASKS, PLAN_ASKS, WORKLOAD_ASKS

_OWN: Final = frozenset({"front", "top"})
"""What one cluster is asked alone."""

ASKS: Final = (
    *MODEL_ASKS,
    Ask(
        name="clusters",
        title="Clusters",
        text=f"One to {MOST_CLUSTERS}, with commas: 1x8:rtx-4090,1x8:h100-sxm. The first is held against.",
        kind=repeated(cluster(), MOST_CLUSTERS),
        flag="--on",
    ),
    *WORKLOAD_ASKS,
    *PLAN_ASKS,
    *(ask for ask in GOAL_ASKS if ask.name not in _OWN),
    *MORE_ASKS,
    *MONEY_ASKS,
    Ask(
        name="ideal",
        title="Paper arithmetic",
        text="Every efficiency is 1.",
        kind=flag(),
        flag="--ideal/",
        section="More of the load",
        default="no",
    ),
)

FIRST: Final = {"model": "llama-2-70b", "clusters": ("1x8:rtx-4090", "1x8:h100-sxm"), "batch_size": 16}
"""The article's question: what eight cards of a desktop do beside a server's."""


def _ask(given: Given) -> tuple[ClusterPlan, ...]:
    return compare(model_of(given), clusters_of(given), curves=False, **_options(given))


def _options(given: Given) -> dict[str, Any]:
    return without(given, "model", "clusters", "changes")


def _later(given: Given, plans: tuple[ClusterPlan, ...]) -> Mapping[str, Any]:
    """Charts, whose curves take as long as a quarter of the plans."""
    return {"charts": comparison_charts(_whole(given, plans))}


def _whole(given: Given, plans: tuple[ClusterPlan, ...]) -> tuple[ClusterPlan, ...]:
    return with_curves(model_of(given), clusters_of(given), plans, **_options(given))


def _verdict(plans: Sequence[ClusterPlan]) -> str:
    """Who is fastest, and whose tokens are cheapest, in a sentence."""
    doing = [(one, one.estimate) for one in plans if one.does and one.estimate is not None]
    if not doing:
        return "None of them serves this load."
    fastest, best = max(doing, key=lambda pair: pair[1].tokens_per_s)
    words = [f"{fastest.cluster} is fastest, with {best.tokens_per_s:,.0f} tokens/s"]
    priced = [
        (min(c.usd_per_million_tokens for c in found.costs), one) for one, found in doing if found.costs
    ]
    if priced and best.workload.output_tokens:
        usd, cheapest = min(priced, key=lambda pair: pair[0])
        same = "its" if cheapest is fastest else f"{cheapest.cluster}'s"
        words.append(f"{same} tokens are cheapest, at {format_usd(usd)} a million")
    missing = [one.cluster for one in plans if not one.does]
    if missing:
        words.append(f"{' and '.join(missing)} {'does' if len(missing) == 1 else 'do'} not serve this load")
    return "; ".join(words) + "."


def _show(given: Given, plans: tuple[ClusterPlan, ...]) -> Shown:
    machines = clusters_of(given)
    return Shown(
        headline=f"{model_of(given).id} on {' or '.join(hardware(one) for one in machines)}",
        verdict=_verdict(plans),
        good=any(one.does for one in plans),
        more={
            "plans": list(zip(plans, machines, strict=True)),
            "rows": comparison_rows(plans),
            "one_query": lambda name: _one_query(given, name),
            "warnings": tuple(
                dict.fromkeys(w for one in plans if one.estimate is not None for w in one.estimate.warnings)
            ),
        },
    )


def _one_query(given: Given, name: str) -> str:
    """The inference view's query of one of the clusters."""
    kept = without(given, "clusters") | {"cluster": name}
    texts = {name: ",".join(map(str, one)) if isinstance(one, tuple) else one for name, one in kept.items()}
    return urlencode(texts, safe=":,/@")


def _rows(plans: tuple[ClusterPlan, ...]) -> Sequence[Mapping[str, Any]]:
    return [
        {
            "cluster": one.cluster,
            "name": row.name,
            "value": cell.words if cell.value is None else cell.value,
            "relative": cell.ratio,
        }
        for row in comparison_rows(plans)
        for one, cell in zip(plans, row.cells, strict=True)
    ]


def _explain(given: Given, plans: tuple[ClusterPlan, ...], number: str) -> Explanation:
    row = next((row for row in comparison_rows(plans) if row.name == number), None)
    if row is None:
        raise UnknownName("number", number, [row.name for row in comparison_rows(plans)])
    notes = [
        f"{one.cluster}, {cost.way}: {cost.basis}."
        for one in plans
        if "usd" in number and one.estimate is not None
        for cost in one.estimate.costs
        if number.startswith(cost.way)
    ]
    terms = [
        term
        for one, machines in zip(plans, clusters_of(given), strict=True)
        for term in _derived(given, one, machines, number)
    ]
    told = {one.cluster: cell.words or "unknown" for one, cell in zip(plans, row.cells, strict=True)}
    notes = [f"{name}: {words}." for name, words in told.items()] + notes
    said = MEANINGS.get(number) or meaning("InferenceEstimate", number)
    return Explanation(title=row.title, meaning=said, terms=terms, notes=notes)


def _derived(given: Given, one: ClusterPlan, machines: Cluster, number: str) -> Iterator[Term]:
    """The derivation of one cluster's number, where it has one."""
    name = TERMS.get(number)
    if one.estimate is None:
        return
    if name is None:
        for term in derived(one.estimate, number):
            yield dataclasses.replace(term, name=f"{one.cluster}, {term.name}")
        return
    told = api.infer(
        model_of(given),
        machines,
        workload=one.estimate.workload,
        plan=one.estimate.plan,
        explain=True,
        **priced(_options(given)),
    )
    for term in told.terms:
        if term.name == name:
            yield dataclasses.replace(term, name=f"{one.cluster}: {name}")


VIEW: Final = View(
    name="compare",
    title="Compare",
    lead="The same load on up to six clusters, each by its best plan.",
    asks=ASKS,
    ask=_ask,
    show=_show,
    later=_later,
    record=_whole,
    rows=_rows,
    explain=_explain,
    intro="Eight gaming cards or a server of H100s for LLaMA-2 70B? A first question, asked for you: change "
    "anything, and the numbers follow.",
    first=FIRST,
    needed=("model", "clusters"),
    command=("compare",),
    function="compare",
    positional=("model", "clusters"),
    schema=tuple[ClusterPlan, ...],
)
