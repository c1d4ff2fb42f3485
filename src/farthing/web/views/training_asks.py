"""What the view of training asks: the run, its plan, goals and limits, and money."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any, Final, get_args

from farthing import api
from farthing.records.plan import Offload, OffloadTo, RankOrder, Recompute, Schedule, TrainingPlan
from farthing.records.search import TrainingObjective
from farthing.records.workload import LoraTargets, Optimizer, TrainingWorkload
from farthing.web.asks import Ask
from farthing.web.estimate_parts import LIMITS, MODEL_ASKS, MONEY_ASKS
from farthing.web.kinds import Kind, cluster, count, flag, name, number, seconds, several, tokens, word

OBJECTIVES: Final = get_args(TrainingObjective)

_PLAN: Final = "Plan"
_GOAL: Final = "Goal and limits"
_MORE: Final = "More of the run"


def _standing(record: type, field: str) -> str:
    """A record's default, in words."""
    default = next(one.default for one in dataclasses.fields(record) if one.name == field)
    if isinstance(default, bool):
        return "yes" if default else "no"
    return f"{default:g}" if isinstance(default, float) else str(default) or "none in particular"


def _words(literal: Any) -> str:
    *first, last = get_args(literal)
    return f"{', '.join(first)} or {last}"


_RUN: Final = (
    Ask(
        name="training_tokens",
        title="Tokens of the run",
        text="All tokens that are trained on, e.g. 2T.",
        kind=tokens(),
        flag="--tokens",
        default="one step",
    ),
    Ask(
        name="global_batch_size",
        title="Global batch",
        text="Sequences of one optimizer step.",
        kind=count(),
        flag="--global-batch",
        default="about 4M tokens",
    ),
    Ask(
        name="sequence_tokens",
        title="Sequence",
        text="Tokens of one sequence; by default the model's context, at most 4096.",
        kind=count(),
        flag="--seq",
        default="≤ 4096",
        slider=(512, 131072),
    ),
)

_DETAILS: Final = tuple(
    Ask(
        name=field,
        title=title,
        text=text,
        kind=kind,
        section=_MORE,
        default=_standing(TrainingWorkload, field),
    )
    for field, title, text, kind in (
        ("optimizer", "Optimizer", "What keeps state for each parameter.", word(get_args(Optimizer))),
        ("lora_rank", "LoRA rank", "Train only low-rank adapters of this rank; 0 trains all.", count(0)),
        ("lora_targets", "LoRA beside", "The linear layers with adapters.", word(get_args(LoraTargets))),
        ("memory_tokens", "Memory", "Tokens of the segment before that are attended to, too.", count(0)),
        ("predictors", "Predictors", "Layers that learn to predict tokens further ahead.", count(0)),
    )
)

_SEARCHED: Final[tuple[tuple[str, str, str, Kind, str | None], ...]] = (
    ("tp", "Tensor parallel", "Cards that share each matrix.", count(), None),
    ("pp", "Pipeline stages", "Groups of layers that follow one another.", count(), None),
    ("dp", "Data parallel", "Copies that train on other sequences.", count(), None),
    ("cp", "Context parallel", "Cards that share a sequence.", count(), None),
    ("ep", "Expert parallel", "Cards that the experts are dealt out over.", count(), None),
    ("expert_tp", "Inside an expert", "Tensor parallel size of experts.", count(), None),
    ("micro_batch_size", "Micro-batch", "Sequences of one micro-batch.", count(), "--micro-batch"),
    (
        "zero_stage",
        "ZeRO",
        "Sharded over dp: 1 the optimizer, 2 also gradients, 3 also weights.",
        count(0, 3),
        "--zero",
    ),
    ("schedule", "Schedule", f"Of the pipeline: {_words(Schedule)}.", word(get_args(Schedule)), None),
    ("interleave", "Interleave", "Virtual stages a card, if interleaved.", count(), None),
    ("first_spared", "First stage spared", "Layers fewer than an even split gives.", count(0), None),
    ("last_spared", "Last stage spared", "Layers fewer than an even split gives.", count(0), None),
    (
        "rank_order",
        "Rank order",
        f"The axis of neighbours first: {_words(RankOrder)}.",
        word(get_args(RankOrder)),
        None,
    ),
    (
        "recompute",
        "Recompute",
        f"In the backward pass: {_words(Recompute)}.",
        word(get_args(Recompute)),
        None,
    ),
    ("recompute_layers", "Recomputed group", "Layers of which one input is kept, if full.", count(), None),
    ("recompute_share", "Recomputed share", "Of the layers, 0 to 1, if full.", number(0, 1), None),
    ("offload", "Offload", f"What lives outside the card: {_words(Offload)}.", word(get_args(Offload)), None),
)

_FLAGS: Final = (
    (
        "sequence_parallel",
        "Sequence parallel",
        "Cards of a tensor-parallel group share norms and dropouts.",
        "searched",
    ),
    ("flash_attention", "Flash attention", "The score matrix is never stored.", "yes"),
)

_GIVEN: Final[tuple[tuple[str, str, str, Kind, str | None], ...]] = (
    ("engine", "Engine", "Engine whose kernels and host count.", name("engines"), None),
    ("weight_format", "Weights", "Number format of the stored weights.", name("formats"), "--weights"),
    ("compute_format", "Computing", "Number format of the matrix products.", name("formats"), None),
    ("gradient_format", "Gradients", "Number format of the gradients.", name("formats"), None),
    ("loss_chunks", "Loss chunks", "Pieces whose logits are made and dropped in turn.", count(), None),
    ("offload_to", "Offload to", f"{_words(OffloadTo)}.".capitalize(), word(get_args(OffloadTo)), None),
    *(
        (
            f"overlap_{axis}_parallel",
            f"Overlap, {axis}",
            f"Share of the compute that hides {axis}-parallel traffic.",
            number(0, 1),
            None,
        )
        for axis in ("data", "tensor", "expert")
    ),
)


def _plan() -> Iterator[Ask]:
    for field, title, text, kind, option in _SEARCHED:
        yield Ask(
            name=field,
            title=title,
            text=text,
            kind=several(kind),
            flag=option,
            section=_PLAN,
            default="searched",
        )
    for field, title, text, default in _FLAGS:
        words = field.replace("_", "-")
        yield Ask(
            name=field,
            title=title,
            text=text,
            kind=flag(),
            flag=f"--{words}/--no-{words}",
            section=_PLAN,
            default=default,
        )
    for field, title, text, kind, option in _GIVEN:
        standing = _standing(TrainingPlan, field)
        yield Ask(
            name=field,
            title=title,
            text=text,
            kind=several(kind),
            flag=option,
            section=_PLAN,
            default=standing,
        )
    yield Ask(
        name="search",
        title="Search",
        text="Search what is left out of the plan, or take its default.",
        kind=flag(),
        flag="/--no-search",
        section=_PLAN,
        default="yes",
    )
    yield Ask(
        name="launch",
        title="Commands of",
        text="The plan as commands of an engine.",
        kind=word(api.launchers("training")),
        section=_PLAN,
        default="none",
        in_python=False,
    )


_GOALS: Final = (
    Ask(
        name="objective",
        title="Goal",
        text="What the best plan is best in.",
        kind=word(OBJECTIVES),
        section=_GOAL,
        default=OBJECTIVES[0],
    ),
    Ask(
        name="run_s",
        title="Within",
        text="Longest run, e.g. 30d; with tokens.",
        kind=seconds(),
        flag="--within",
        section=_GOAL,
        default="any",
    ),
    Ask(
        name="run_usd",
        title="At most",
        text="Dearest run [USD]; with tokens.",
        kind=number(0, 1e12, positive=True),
        flag="--max-usd",
        section=_GOAL,
        default="any",
    ),
    *(dataclasses.replace(ask, default="0.05" if ask.name == "headroom_share" else "any") for ask in LIMITS),
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

_IDEAL: Final = Ask(
    name="ideal",
    title="Paper arithmetic",
    text="Every efficiency is 1.",
    kind=flag(),
    flag="--ideal/",
    section=_MORE,
    default="no",
)

_SHAPE: Final = tuple(dataclasses.replace(ask, section=_MORE) if ask.section else ask for ask in MODEL_ASKS)

ASKS: Final = (
    *_SHAPE[:1],
    Ask(
        name="cluster",
        title="Cluster",
        text="Hosts x cards, the accelerator, and the network between hosts: 64x8:h100-sxm@ib-ndr.",
        kind=cluster(),
        flag="--on",
    ),
    *_RUN,
    *_plan(),
    *_GOALS,
    *_DETAILS,
    *_SHAPE[1:],
    _IDEAL,
    *MONEY_ASKS,
)
