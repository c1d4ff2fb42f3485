"""What cards do with a model, and what a dollar of each does: as a table and as charts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from rich.console import Group, RenderableType
from rich.text import Text

from farthing.records.card_comparison import CardPlan
from farthing.records.chart import Axis, Chart, Point, Series
from farthing.report import layout
from farthing.report.search import plan_words
from farthing.report.ticks import figure

_FIGURES: Final = {
    "tokens_per_s_per_accelerator": ("tokens/s", 1.0),
    "tokens_per_s_per_usd": ("per 1,000 USD", 1000.0),
    "rented_tokens_per_usd": ("per USD rented", 1.0),
}
"""Header of the column, and factor of the number shown, by figure."""

_CHARTS: Final = {
    "tokens_per_s_per_accelerator": ("Throughput of a card", Axis(title="throughput", unit="tokens/s")),
    "tokens_per_s_per_usd": (
        "Throughput for the purchase price of the cards",
        Axis(title="throughput for 1,000 USD", unit="tokens/s"),
    ),
    "rented_tokens_per_usd": ("Tokens for a dollar of rent", Axis(title="tokens", unit="1/USD")),
}
"""Title of the chart, and the axis of values that are not held against a card's."""

_NAME: Final = 20
"""Width of the column of names."""


def task_name(plan: CardPlan) -> str:
    """What is done, in a word or two.

    Examples
    --------
    >>> task_name(CardPlan(accelerator="h100-sxm", task="training", lora_rank=16))
    'LoRA training'
    """
    return "LoRA training" if plan.lora_rank else plan.task


def card_table(plans: Sequence[CardPlan]) -> RenderableType:
    """The best plan of each card, and the figures of one card, beside those of the first."""
    rows: list[RenderableType] = []
    for name in dict.fromkeys(map(task_name, plans)):
        group = [plan for plan in plans if task_name(plan) == name]
        against = next((plan.relative_to for plan in group if plan.relative_to), "")
        note = f"of one card; in brackets: times that of {against}" if against else "not on one host"
        header = ("", *(column for column, _ in _FIGURES.values()))
        rows += [Text(), layout.heading(name[0].upper() + name[1:], note)]
        doing = [plan for plan in group if plan.choice]
        if doing:
            rows.append(layout.columns(header, list(map(_row, doing)), width=_NAME))
        rows.append(layout.facts([(plan.accelerator, _words(plan)) for plan in group], width=_NAME))
    rows += [Text(), layout.indented(Text(_basis(plans), style="dim"))]
    return Group(*rows)


def _basis(plans: Sequence[CardPlan]) -> str:
    """What the figures count."""
    served = next((p.choice.inference for p in plans if p.choice and p.choice.inference), None)
    trained = next((p.choice.training for p in plans if p.choice and p.choice.training), None)
    words = ["Each on the fewest cards of one host that hold the model; prices are of the cards alone."]
    if served:
        load = served.workload
        answers = (
            f"{load.output_tokens:,} tokens put out for each" if load.output_tokens else "which are read"
        )
        words.append(f"Inference: prompts of {load.prompt_tokens:,} tokens, {answers}.")
    if trained:
        words.append(
            f"Training: sequences of {trained.workload.sequence_tokens:,} tokens in the cards' memory."
        )
    return " ".join(words)


def _row(plan: CardPlan) -> tuple[str, ...]:
    cells = []
    for name, (_, factor) in _FIGURES.items():
        value = getattr(plan, name)
        ratio = f" ({figure(plan.relative[name], full=True)})" if name in plan.relative else ""
        cells.append(f"{figure(value * factor, full=True)}{ratio}" if value else "-")
    return (plan.accelerator, *cells)


def _words(plan: CardPlan) -> str:
    if plan.choice is None:
        return plan.misfit
    cards = plan.choice.estimate.accelerators
    words = plan_words(plan.choice)
    return f"{cards} cards: {words}" if cards > 1 else words


def card_charts(plans: Sequence[CardPlan], model: str) -> tuple[Chart, ...]:
    """Throughput, and throughput for money bought and rented; training and inference side by side.

    Parameters
    ----------
    plans
        Of one or more cards and tasks.
    model
        What is served and trained, for the title.
    """
    return tuple(_charts(plans, model))


def _charts(plans: Sequence[CardPlan], model: str) -> Iterator[Chart]:
    tasks = list(dict.fromkeys(map(task_name, plans)))
    base = {task_name(plan): plan.relative_to for plan in plans if plan.relative_to}
    one = next(iter(base.values()), "")
    # A task that the first card cannot do is held against another: the name of its series says so.
    names = {task: task if base.get(task, one) == one else f"{task} (against {base[task]})" for task in tasks}
    lacking = {
        task: [plan.accelerator for plan in plans if task_name(plan) == task and not plan.choice]
        for task in tasks
    }
    missing = [f"{task} on {', '.join(cards)}" for task, cards in lacking.items() if cards]
    unfit = [f"No plan on one host for {'; '.join(missing)}."] if missing else []
    for field, (title, axis) in _CHARTS.items():
        factor = _FIGURES[field][1]
        shares = any(field in plan.relative for plan in plans)
        unpriced = sorted({p.accelerator for p in plans if p.choice and not getattr(p, field)})
        unknown = [f"No price is known of {', '.join(unpriced)}."] if unpriced else []
        # Where the first card has no price, the others still have figures of their own.
        values = {
            (task_name(plan), plan.accelerator): plan.relative.get(field)
            if shares
            else getattr(plan, field) * factor or None
            for plan in plans
        }
        yield Chart(
            title=f"{title}: {model}",
            kind="bar",
            x=Axis(title=f"times that of {one}") if shares else axis,
            y=Axis(title="card"),
            series=tuple(
                Series(
                    name=names[task] if shares else task,
                    points=tuple(
                        Point(x=value, label=plan.accelerator, detail=_words(plan))
                        for plan in plans
                        if task_name(plan) == task and (value := values[task, plan.accelerator]) is not None
                    ),
                )
                for task in tasks
            ),
            note=" ".join([*unfit, *unknown]),
        )
