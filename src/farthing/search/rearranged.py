"""Unlike machines in another order, or without some of them: often better than all of them as they stand."""

from __future__ import annotations

import itertools
from collections.abc import Collection
from dataclasses import replace
from typing import Final

from farthing import catalog
from farthing.errors import InvalidInput
from farthing.estimate.engine import chosen_note, refusals, usual_engine
from farthing.estimate.inference import infer_estimate
from farthing.estimate.subject import NO_ENGINE
from farthing.records.estimate import InferenceEstimate
from farthing.records.plan import InferencePlan
from farthing.records.search import Choice, Rearranged
from farthing.search.divisors import divisors
from farthing.search.inference_evaluation import Setting
from farthing.search.inference_ranking import OBJECTIVES
from farthing.search.layer_ranges import best_layer_ranges

WORTH: Final = 1.001
"""Machines are not moved for less than this factor."""


def best_rearranged(
    setting: Setting, words: tuple[InferencePlan, ...], notes: Collection[str], best: Choice | None
) -> Rearranged | None:
    """The best chain over some of the machines in any order, where it beats all of them as they stand.

    Parameters
    ----------
    setting, words
        As in `farthing.search.inference_evaluation.evaluated`.
    notes
        Engines that nobody named.
    best
        The best plan over all machines as they stand; None where none fits.

    Returns
    -------
    Rearranged or None
        None with like machines, where the layers of the stages or replicas are given, or where nothing beats
        the best.
    """
    axes = setting.axes
    groups = setting.cluster.groups
    given = setting.plan.stage_layers or (axes.dp and 1 not in axes.dp) or (axes.ep and 1 not in axes.ep)
    if len(groups) == 1 or given or len(axes.pp) > 1:
        return None
    if best is not None and best.inference is not None:
        batch, chunk = best.inference.workload.batch_size, best.inference.plan.chunk_tokens
    else:
        batch, chunk = min(axes.batch_size, default=1), min(axes.chunk_tokens, default=0)
    load = replace(setting.workload, batch_size=batch)
    shared = divisors(max(group.accelerators_per_host for group in groups))
    found: Rearranged | None = None
    most = best
    for plan, tp in itertools.product(words, axes.tp or shared):
        asked = replace(plan, tp=tp, pp=1, dp=1, ep=1, chunk_tokens=chunk)
        try:
            ranges = best_layer_ranges(
                setting.model,
                setting.cluster,
                load,
                asked,
                objective=setting.objective,
                stages=axes.pp[0] if axes.pp else 0,
                headroom_share=setting.limits.headroom_share,
                ideal=setting.ideal,
            )
        except InvalidInput:
            continue
        engine = catalog.engine(ranges.plan.engine) if ranges.plan.engine else NO_ENGINE
        unable = any(asked for _, asked in refusals(engine, ranges.cluster, ranges.plan))
        same = ranges.cluster == setting.cluster and not ranges.unused
        if unable or same or not ranges.fits:
            continue
        assumed = (
            (chosen_note(usual_engine(setting.cluster, plan.weight_format)),) if plan.engine in notes else ()
        )
        estimate = infer_estimate(
            setting.model,
            ranges.cluster,
            load,
            ranges.plan,
            basis=setting.basis,
            ideal=setting.ideal,
            assumed=assumed,
        )
        choice = Choice(inference=estimate, figures=_figures(estimate))
        if _keeps(setting, choice) and _beats(setting, choice, most):
            most = choice
            machines = tuple(
                f"{group.hosts} x {group.accelerators_per_host} {group.accelerator.id}"
                for group in ranges.cluster.groups
            )
            found = Rearranged(choice=choice, machines=machines, unused=ranges.unused)
    return found


def _figures(estimate: InferenceEstimate) -> dict[str, float]:
    figures = {
        "paid_tokens_per_s": estimate.served_tokens_per_s,
        "tokens_per_s": estimate.tokens_per_s,
        "requests_per_s": estimate.requests_per_s,
        "ttft_s": estimate.ttft_s,
        "tpot_s": estimate.tpot_s,
        "energy_per_token_j": estimate.energy_per_token_j,
        "memory_bytes": estimate.memory.total_bytes,
        "memory_free_bytes": estimate.memory.free_bytes,
        "power_w": estimate.power_w,
    }
    if estimate.costs:
        figures["usd_per_million_tokens"] = min(cost.usd_per_million_tokens for cost in estimate.costs)
    return figures


def _keeps(setting: Setting, choice: Choice) -> bool:
    limits = setting.limits
    upper = {
        "ttft_s": limits.ttft_s,
        "tpot_s": limits.tpot_s,
        "usd_per_million_tokens": limits.usd_per_million_tokens,
    }
    return all(not most or choice.figures.get(name, 0.0) <= most for name, most in upper.items())


def _beats(setting: Setting, choice: Choice, best: Choice | None) -> bool:
    name, sign = OBJECTIVES[setting.objective]
    if best is None:
        return True
    mine, other = choice.figures[name], best.figures[name]
    return mine * WORTH < other if sign > 0 else mine > other * WORTH
