"""What a training run does on so many cards of a kind: the best plan on a cluster, and what none can beat."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from farthing.design.copies import PERFECT, free_of_links
from farthing.errors import InvalidInput
from farthing.estimate.cost import CostBasis
from farthing.estimate.training import training_run
from farthing.predict.fabric import joined_cards
from farthing.records.estimate import TrainingEstimate
from farthing.records.hardware import Accelerator, Cluster, HostGroup
from farthing.records.model import Model
from farthing.records.search import Limits
from farthing.records.workload import TrainingWorkload
from farthing.search.training_choice import Chooser
from farthing.search.training_columns import blocks
from farthing.search.training_question import Question
from farthing.search.training_ranking import rank
from farthing.search.training_space import TrainingSpace, card_numbers, training_space

BOUNDLESS_BYTES: Final = 1e18
"""Memory in which every plan fits."""


NARROW: Final[dict[str, Any]] = {
    "recompute_layers": 1,
    "sequence_parallel": True,
    "rank_order": "tp-cp-dp-pp",
    "schedule": ("1f1b", "zero-bubble"),
    "recompute_share": (0.5, 1.0),
    "micro_batch_size": (1, 2, 4, 8),
    "zero_stage": (1, 3),
}
"""Choices that builds are compared by unless they are given; what others give is little, and the plan of each
build that is shown comes from a search of all."""


TIED: Final = (
    ("recompute", "recompute_layers", "recompute_share"),
    ("schedule", "interleave", "first_spared", "last_spared"),
)
"""Fields of a plan that allow each other only some values."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """What each build trains.

    Attributes
    ----------
    model, workload
        The same steps on every build.
    given
        Fields of the plan that are fixed, or lists of which one is chosen.
    limits
        Of a plan: what of each card's memory stays free.
    basis
        Of the power that estimates name.
    ideal
        Paper arithmetic.
    """

    model: Model
    workload: TrainingWorkload
    given: Mapping[str, Any]
    limits: Limits
    basis: CostBasis
    ideal: bool = False

    @functools.cached_property
    def narrow(self) -> Mapping[str, Any]:
        """What is fixed of the plans that builds are compared by."""
        # What goes together is left as the caller has it.
        given = set(self.given)
        loose = {name for fields in TIED if given & set(fields) for name in fields}
        return {**{name: value for name, value in NARROW.items() if name not in loose}, **self.given}

    @functools.cached_property
    def _spaces(self) -> dict[Any, TrainingSpace]:
        return {}

    def space(self, cluster: Cluster, given: Mapping[str, Any]) -> TrainingSpace:
        """All legal plans; of cards only how many there are, and which of them are joined, matters."""
        group = cluster.groups[0]
        shared = group.accelerator.unified_memory or group.accelerator.kind == "cpu"
        key = (cluster.count, joined_cards(group), shared, given is self.narrow)
        if given is not self.narrow and given is not self.given:
            return training_space(self.model, cluster, self.workload, given)
        if key not in self._spaces:
            self._spaces[key] = training_space(self.model, cluster, self.workload, given)
        return self._spaces[key]

    @property
    def steps(self) -> float:
        """Of the whole run."""
        load = self.workload
        return load.training_tokens / (load.global_batch_size * load.sequence_tokens)


@dataclass(frozen=True, slots=True)
class Alone:
    """What no plan beats, however many cards: one card with all the memory that it wants.

    Attributes
    ----------
    step_s
        Of the whole step on one card; n cards take at least an n-th.
    work_s
        What the step's work takes at the card's peak.
    """

    step_s: float
    work_s: float


class Runs:
    """Runs of one job on one kind of card, each worked out once.

    Parameters
    ----------
    job, card
        What is trained on what.
    """

    def __init__(self, job: Job, card: Accelerator) -> None:
        self.job, self.card = job, card
        self._hoped: dict[int, float] = {}
        self._known: dict[Any, TrainingEstimate | None] = {}
        self._numbers: dict[int, frozenset[int]] = {}

    @functools.cached_property
    def alone(self) -> Alone | None:
        """The bound of a single card; None where it cannot compute such a plan at all."""
        card = dataclasses.replace(self.card, memory_bytes=BOUNDLESS_BYTES)
        given = {**self.job.given, "offload": "none"}
        # With room for everything, computing again only adds work.
        if not {"recompute", "recompute_share", "recompute_layers"} & set(given):
            given["recompute"] = "none"
        found = _best(self.job, _joined(card, 1), given, free=True)
        if found is None:
            return None
        return Alone(found.step_s, found.mfu * found.step_s)

    def hoped_step_s(self, cards: int) -> float:
        """Step time if links took no time: nothing real is faster; infinite where no plan fits."""
        if cards not in self._hoped:
            found = _best(self.job, _joined(self.card, cards), self.job.narrow, free=True)
            self._hoped[cards] = found.step_s if found is not None else np.inf
        return self._hoped[cards]

    def full(self, cluster: Cluster) -> TrainingEstimate | None:
        """The quickest of all plans, however little most choices give."""
        return _best(self.job, cluster, self.job.given)

    def best(self, cluster: Cluster) -> TrainingEstimate | None:
        """The quickest plan that uses all cards of a cluster; None where none fits."""
        group = cluster.groups[0]
        key = (group.hosts, group.accelerators_per_host, *way_of(group))
        if key not in self._known:
            self._known[key] = _best(self.job, cluster, self.job.narrow)
        return self._known[key]

    def legal(self, cards: int, most: int) -> bool:
        """Whether some split uses so many cards wholly, of at most so many."""
        if most not in self._numbers:
            job = self.job
            self._numbers[most] = frozenset(card_numbers(job.model, job.workload, job.given, most))
        return cards in self._numbers[most]


def way_of(group: HostGroup) -> tuple[Any, ...]:
    """What of a group's links and memory decides its times: less is faster, but for the first."""
    network = group.network
    memory = group.host.memory_bytes_per_s if group.host is not None else 0.0
    inside = group.intra_link
    return (
        (inside.kind if inside.kind == "pcie" else inside.id, group.host_copy),
        -inside.bytes_per_s * inside.efficiency,
        inside.latency_s,
        -(memory if group.host_copy else 0.0),
        -(network.bytes_per_s * network.efficiency if network else 0.0),
        network.latency_s if network else 0.0,
        -(group.nics_per_host if network else 0),
    )


def _joined(card: Accelerator, cards: int) -> Cluster:
    """Cards that links between them cost no time."""
    group = HostGroup(hosts=1, accelerators_per_host=cards, accelerator=card, intra_link=PERFECT)
    return Cluster(name=card.id, groups=(group,))


def _best(
    job: Job, cluster: Cluster, given: Mapping[str, Any], *, free: bool = False
) -> TrainingEstimate | None:
    """The quickest of all legal plans; ``free`` of the time that collectives take of their own."""
    try:
        space = job.space(cluster, given)
        questions = []
        for variant in space.variants:
            run = training_run(job.model, cluster, job.workload, variant, ideal=job.ideal)
            if free:
                able = tuple(map(free_of_links, run.about.efficiencies))
                run = dataclasses.replace(run, about=dataclasses.replace(run.about, efficiencies=able))
            questions.append(
                Question(
                    run=run,
                    cards=cluster.count,
                    objective="step",
                    front=(),
                    limits=job.limits,
                    basis=job.basis,
                    ways=(),
                )
            )
    except InvalidInput:
        # What the question itself gets wrong was refused before: this card cannot do it.
        return None
    variants, ranked = [], []
    for number, question in enumerate(questions):
        for rows in space.rows:
            for block in blocks(rows):
                # What a tenth more memory would give is not asked for.
                ranked.append(rank(question, block, roomier=0.0))
                variants.append(number)
    if not ranked:
        return None
    best = Chooser(questions, variants, ranked).best(1)
    return best[0].training if best else None
