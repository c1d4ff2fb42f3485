"""Cards side by side: what each does with a model, and what a dollar of it does."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, Final

from farthing import catalog
from farthing.catalog.cluster import parse_cluster
from farthing.catalog.prices import purchase_price, rental_price
from farthing.errors import Infeasible, InvalidInput, UnknownName
from farthing.estimate.cost import CostBasis
from farthing.records.card_comparison import CardPlan
from farthing.records.hardware import Accelerator
from farthing.records.model import Model
from farthing.records.search import Choice, SearchResult, Task
from farthing.search.asked import inference_question, training_question
from farthing.search.inference import search_inference
from farthing.search.training import search_training
from farthing.units import HOUR

SIZES: Final = (1, 2, 4, 8)
"""Cards of one host that are tried, the fewest first."""

FIGURES: Final = ("tokens_per_s_per_accelerator", "tokens_per_s_per_usd", "rented_tokens_per_usd")
"""Of a `CardPlan`: what cards are compared by."""


def compare_cards(
    model: Model,
    cards: Sequence[str],
    *,
    lora_rank: int = 0,
    told: Callable[[int, int], None] | None = None,
    **options: Any,
) -> tuple[CardPlan, ...]:
    """The best plan of each card for serving a model and for training it.

    Parameters
    ----------
    model
        What is served and trained.
    cards
        Ids; the first is what the others are held against.
    lora_rank
        Above 0, training adapters of this rank is compared too.
    told
        Called with the plans sought so far and all of them.
    **options
        Of serving: any field of `InferenceWorkload` or `InferencePlan`. Training is in the cards' memory
        alone: what is offloaded waits for a host, of which a card says nothing.

    Returns
    -------
    tuple of CardPlan
        Serving, then training, then adapters, each of all cards in their order.

    Raises
    ------
    UnknownName
        No such accelerator, format or engine.
    InvalidInput
        No card, a rank below 0, options that nothing knows.

    Examples
    --------
    >>> served, trained = compare_cards(catalog.model("llama-3.1-8b"), ["h100-sxm"])
    >>> served.choice.inference.accelerators, trained.choice.training.accelerators
    (1, 2)
    """
    found = [catalog.accelerator(name) for name in dict.fromkeys(cards)]
    if not found:
        raise InvalidInput("there is no card to compare; name one or more accelerators")
    if isinstance(lora_rank, bool) or not isinstance(lora_rank, int) or lora_rank < 0:
        raise InvalidInput(f"lora_rank must be a whole number of 0 or more, not {lora_rank!r}")
    # What no card can be asked is refused here; what one cannot do is its own misfit.
    inference_question(model, parse_cluster(found[0].id), None, dict(options))
    tasks: list[tuple[Task, int]] = [("inference", 0), ("training", 0)]
    if lora_rank:
        tasks.append(("training", lora_rank))
    plans: list[CardPlan] = []
    for task, rank in tasks:
        group = []
        for card in found:
            asked = options if task == "inference" else {"offload": "none", "lora_rank": rank}
            group.append(_card_plan(model, card, task, rank, asked))
            if told is not None:
                told(len(plans) + len(group), len(tasks) * len(found))
        plans += _related(group)
    return tuple(plans)


def _card_plan(
    model: Model, card: Accelerator, task: Task, lora_rank: int, asked: dict[str, Any]
) -> CardPlan:
    """The best plan on the fewest cards."""
    # A machine whose processor and accelerator share their memory is a host of its own.
    sizes = (1,) if card.unified_memory or card.kind == "cpu" else SIZES
    misfit = ""
    for size in sizes:
        try:
            result = _searched(model, f"1x{size}:{card.id}", task, dict(asked))
        except UnknownName:
            raise
        except (InvalidInput, Infeasible) as error:
            # What a card cannot be asked is no reason to hide what the others do.
            misfit = str(error)
            continue
        if result.best:
            return _figured(card, task, lora_rank, result.best[0])
        nearest = f": the nearest plan {result.miss.breaks}" if result.miss else ""
        misfit = f"does not fit on {size} card{'s' if size > 1 else ''}{nearest}"
    return CardPlan(accelerator=card.id, task=task, lora_rank=lora_rank, misfit=misfit)


def _searched(model: Model, cluster: str, task: Task, options: dict[str, Any]) -> SearchResult:
    machines = parse_cluster(cluster)
    if task == "training":
        training, given, kept = training_question(model, machines, None, options)
        return search_training(
            model, machines, training, given, objective="step", limits=kept, basis=CostBasis(), top=1
        ).result
    serving, plan, axes, kept = inference_question(model, machines, None, options)
    return search_inference(
        model,
        machines,
        serving,
        plan,
        axes=axes,
        objective="tokens-per-s",
        limits=kept,
        basis=CostBasis(),
        top=1,
    ).result


def _figured(card: Accelerator, task: Task, lora_rank: int, choice: Choice) -> CardPlan:
    """A plan and what it does for money."""
    rate = choice.estimate.tokens_per_s if choice.training else choice.figures["paid_tokens_per_s"]
    each = rate / choice.estimate.accelerators
    bought, rented = purchase_price(card.id), rental_price(card.id)
    return CardPlan(
        accelerator=card.id,
        task=task,
        lora_rank=lora_rank,
        choice=choice,
        tokens_per_s_per_accelerator=each,
        tokens_per_s_per_usd=each / bought.usd if bought and bought.usd else 0.0,
        rented_tokens_per_usd=each * HOUR / rented.usd if rented and rented.usd else 0.0,
    )


def _related(plans: Sequence[CardPlan]) -> list[CardPlan]:
    """With ratios to the first card that does the task."""
    first = next((plan for plan in plans if plan.choice), None)
    if first is None:
        return list(plans)
    return [
        dataclasses.replace(
            plan,
            relative_to=first.accelerator,
            relative={
                name: getattr(plan, name) / getattr(first, name)
                for name in FIGURES
                if getattr(plan, name) > 0 and getattr(first, name) > 0
            },
        )
        for plan in plans
    ]
