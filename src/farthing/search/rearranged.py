"""Unlike machines in another order, or without some of them: often better than all of them as they stand."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Mapping
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
from farthing.search.inference_evaluation import Setting, evaluated
from farthing.search.inference_ranking import OBJECTIVES, Ranking
from farthing.search.layer_ranges import best_layer_ranges

WORTH: Final = 1.001
"""Machines are not moved for less than this factor."""

WORTH_IDLE: Final = 1.05
"""Like cards are not left idle for less."""

FEW: Final = 16
"""On more cards no plans are looked for that leave some idle."""


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
        if _keeps(setting, choice) and _beats(setting, choice.figures, most):
            most = choice
            machines = tuple(
                f"{group.hosts} x {group.accelerators_per_host} {group.accelerator.id}"
                for group in ranges.cluster.groups
            )
            found = Rearranged(choice=choice, machines=machines, unused=ranges.unused)
    return found


def best_on_fewer(
    setting: Setting, words: tuple[InferencePlan, ...], best: Choice | None
) -> Rearranged | None:
    """The best plan that leaves some of a few like cards idle, where it clearly beats all of them.

    Few sequences cannot fill replicas, and a number of cards that no heads divide by leaves but a pipeline.

    Parameters
    ----------
    setting, words, best
        As in `best_rearranged`.

    Returns
    -------
    Rearranged or None
        None on unlike or many cards, or where the batch is open, so that replicas can fill the cards.
    """
    groups, count = setting.cluster.groups, setting.cluster.count
    if (
        best is None
        or best.inference is None
        or len(groups) > 1
        or count > FEW
        or not setting.axes.batch_size
    ):
        return None
    used = tuple(range(1, best.inference.accelerators))
    if not used:
        return None
    try:
        fewer = evaluated(replace(setting, cards=used), words)
    except InvalidInput:
        return None
    figure, name = OBJECTIVES[setting.objective][0], groups[0].accelerator.id
    found: Rearranged | None = None
    most = best
    for cards, row in Ranking(setting, fewer, setting.objective).best_by_cards():
        worth = WORTH if found else WORTH_IDLE
        # Its figure is in the columns: most plans are not worth an estimate.
        if not _beats(setting, {figure: float(fewer.columns[figure][row])}, most, worth):
            continue
        own, batch = fewer.plan(row)
        estimate = infer_estimate(
            setting.model,
            setting.cluster,
            replace(setting.workload, batch_size=batch),
            own,
            basis=setting.basis,
            ideal=setting.ideal,
        )
        choice = Choice(inference=estimate, figures=_figures(estimate))
        if _beats(setting, choice.figures, most, worth):
            most = choice
            found = Rearranged(
                choice=choice, machines=(f"{cards} x {name}",), unused=(f"{count - cards} x {name}",)
            )
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


def _beats(setting: Setting, figures: Mapping[str, float], best: Choice | None, worth: float = WORTH) -> bool:
    name, sign = OBJECTIVES[setting.objective]
    if best is None:
        return True
    mine, other = figures[name], best.figures[name]
    return mine * worth < other if sign > 0 else mine > other * worth
