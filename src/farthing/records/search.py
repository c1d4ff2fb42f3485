"""What a search was asked, and what it found."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Literal

from farthing.errors import InvalidInput
from farthing.records.estimate import DisaggregatedEstimate, InferenceEstimate, TrainingEstimate

TrainingObjective = Literal["step", "usd", "energy", "memory"]
InferenceObjective = Literal["tokens-per-s", "ttft", "tpot", "usd", "energy", "memory"]
Task = Literal["training", "inference"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What every plan must keep; 0 is no limit.

    Attributes
    ----------
    ttft_s, tpot_s
        Longest time to the first token, and between two tokens [s]; inference only.
    headroom_share
        Share of each card's memory that must stay free, 0..1.
    max_batch_size
        Largest batch; inference only.
    run_s, run_usd
        Longest and dearest run [s], [USD]; training with a token count only.
    usd_per_million_tokens
        Dearest tokens; the cheaper way of paying counts.
    """

    ttft_s: float = 0.0
    tpot_s: float = 0.0
    headroom_share: float = 0.0
    max_batch_size: int = 0
    run_s: float = 0.0
    run_usd: float = 0.0
    usd_per_million_tokens: float = 0.0

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            number = isinstance(value, (int, float)) and not isinstance(value, bool)
            if not (number and math.isfinite(value) and value >= 0):
                raise InvalidInput(f"limits: {field.name} must be a number of 0 or more, not {value!r}")
        if self.max_batch_size != int(self.max_batch_size):
            raise InvalidInput(f"limits: max_batch_size must be a whole number, not {self.max_batch_size!r}")
        if self.headroom_share >= 1:
            raise InvalidInput(f"limits: headroom_share must be in [0, 1), not {self.headroom_share:g}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Removed:
    """Candidates that a rule took out: those that no earlier rule had."""

    rule: str
    candidates: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """A plan that a search found.

    Attributes
    ----------
    training, inference
        All about it, as if it had been asked for; one of them, by the task.
    figures
        What objectives and limits look at, by name.
    """

    training: TrainingEstimate | None = None
    inference: InferenceEstimate | None = None
    figures: dict[str, float]

    @property
    def estimate(self) -> TrainingEstimate | InferenceEstimate:
        """The one that there is."""
        found = self.training or self.inference
        assert found is not None  # a choice is about one task
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """One part of the winner's time beside the runner-up's [s]."""

    part: str
    winner_s: float
    runner_up_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class NearestMiss:
    """The best plan that breaks a limit by the least, and what would make it keep it.

    Attributes
    ----------
    choice
        The plan.
    breaks
        Which limit, and by how much.
    would_help
        Changes that would make it fit, in words.
    """

    choice: Choice
    breaks: str
    would_help: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Rearranged:
    """A plan over unlike machines in another order, or over some of them.

    Attributes
    ----------
    choice
        The plan.
    machines
        In the order of the stages, in words; those that serve none come last.
    unused
        Machines, or cards of one, that serve none.
    """

    choice: Choice
    machines: tuple[str, ...]
    unused: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchResult:
    """What a search found.

    Attributes
    ----------
    task, model, cluster, objective, limits
        What was asked.
    candidates
        Plans that the space holds, rule by rule removed or evaluated.
    evaluated
        Plans that no rule removed: memory was worked out of all, time of all that could be among the best.
    fitting
        Of these, how many keep every limit.
    removed
        What each rule took out before, in the order of the rules.
    broken
        Of the evaluated, what memory and each limit took out.
    best
        The best plan, then the best of other kinds: kinds differ in a parallel size, a format or an engine.
    front_objectives, front
        Of what a front was asked, and the plans that none beats in all of these figures; a long front keeps
        its ends and is thinned evenly.
    reasons
        Where the winner's time goes, beside the runner-up's.
    disaggregated
        The best plan where some workers read prompts for others that decode; serving only. ``candidates`` and
        ``evaluated`` are of plans where each worker does both.
    rearranged
        The best plan over unlike machines in another order, or without some machines or cards, where it beats
        ``best``.
    miss
        The nearest plan that does not do, where memory or a limit removed one that would be better.
    """

    task: Task
    model: str
    cluster: str
    objective: str
    limits: Limits
    candidates: int
    evaluated: int
    fitting: int
    removed: tuple[Removed, ...]
    broken: tuple[Removed, ...] = ()
    best: tuple[Choice, ...]
    front_objectives: tuple[str, ...] = ()
    front: tuple[Choice, ...] = ()
    reasons: tuple[Reason, ...] = ()
    disaggregated: DisaggregatedEstimate | None = None
    rearranged: Rearranged | None = None
    miss: NearestMiss | None = None
