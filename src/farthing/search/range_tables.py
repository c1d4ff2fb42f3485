"""What every range of a model's layers takes on each group of a cluster's hosts, in time and in memory."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from farthing.estimate.run import Pass, Run
from farthing.estimate.subject import Subject, subject
from farthing.predict.hops import Ports
from farthing.predict.inference import speculated_tokens
from farthing.predict.placement import Place
from farthing.predict.stages import Stage, layer_kinds
from farthing.predict.trace import Number, untraced
from farthing.records.hardware import Cluster
from farthing.records.model import Model
from farthing.records.plan import InferencePlan
from farthing.records.search import InferenceObjective
from farthing.records.workload import InferenceWorkload
from farthing.search.chain import Table


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is to be served, on what, how, and what is best; as in `best_layer_ranges`."""

    model: Model
    cluster: Cluster
    workload: InferenceWorkload
    plan: InferencePlan
    objective: InferenceObjective
    headroom_share: float
    ideal: bool

    def about(self, cluster: Cluster) -> Subject:
        """The question's subject on a cluster of the same machines."""
        plan = self.plan
        return subject(
            self.model,
            cluster,
            weight_format=plan.weight_format,
            compute_format=plan.compute_format,
            kv_format=plan.kv_format,
            dense_format=plan.dense_format,
            engine=plan.engine,
            ideal=self.ideal,
        )

    def free_bytes(self, run: Run) -> Any:
        """Room on the fullest card above what must stay free [byte]."""
        memory = run.memory()
        return memory.free_bytes - self.headroom_share * memory.capacity_bytes

    def value(self, run: Run) -> float:
        """What is made least, of a complete run: [s], or for ``memory`` the bytes that are not left."""
        if self.objective == "memory":
            return -float(untraced(self.free_bytes(run)))
        if self.objective == "ttft":
            return float(run.prefill(1)[1] + run.about.overheads.request_s)
        return float(run.decode()[1] / self.yielded)

    def looked_at(self, run: Run) -> tuple[Pass, Number, Callable[[Any, Any], Any]]:
        """The pass that the value comes from, how often its slowest stage counts, and the value of its total
        and its slowest stage."""
        if self.objective == "ttft":
            prompt, pieces = run.prefill_pass(1)
            request_s = run.about.overheads.request_s
            return prompt, pieces, lambda total, slowest: run.prefilled_s(total, slowest, pieces) + request_s
        each = run.decode_pass
        return each, run.micro_batches, lambda total, slowest: run.decoded_s(total, slowest) / self.yielded

    @property
    def yielded(self) -> Number:
        """Tokens that a step of speculative decoding yields."""
        return speculated_tokens(self.workload.draft_tokens, self.workload.acceptance_rate)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Ranges:
    """Times of every range of layers on a slot of one group's hosts [s], and of its messages.

    Ranges are told by the layer that they end before and how many they hold.
    """

    time: Table
    ports: Ports


class RangeTables:
    """Tables of one question.

    Attributes
    ----------
    slots
        Stages that a host of each group has room for.
    groups
        Those with any.
    whole
        Which ranges there are.
    stage_counts
        Numbers of stages that are asked for but 1, each from and to, with which a stage takes the same time.
    """

    def __init__(self, asked: Question, stages: int) -> None:
        self.asked = asked
        hosts = asked.cluster.groups
        self.slots = [int(group.accelerators_per_host // asked.plan.tp) for group in hosts]
        self.groups = [number for number, slots in enumerate(self.slots) if slots]
        self.about = {number: asked.about(self._from(number)) for number in self.groups}
        self.most_stages = min(sum(self.room(number) for number in self.groups), asked.model.layers)
        counts = range(max(stages, 2), (stages or self.most_stages) + 1)
        self.stage_counts = list(self._alike_counts(counts))
        self.stage, self.which, self.whole = _every_range(asked.model)
        self.known: dict[tuple[int, int], list[Ranges]] = {}
        self.known_free: dict[tuple[int, int], Table] = {}

    def room(self, number: int) -> int:
        """Stages that a group has room for."""
        return int(self.asked.cluster.groups[number].hosts * self.slots[number])

    def run(self, first: int, stages: Number, placed: tuple[Place, ...] = ()) -> Run:
        """A run of so many stages that start on a group."""
        plan = dataclasses.replace(self.asked.plan, pp=stages)
        return Run(self.about[first], self.asked.workload, plan, placed, self.asked.workload.batch_size)

    def ranges(self, first: int, number: int, which: int) -> Ranges:
        """On a group's slots, in pipelines that start on another group and have the stages of that number in
        `stage_counts`."""
        key = self._alike(first), number
        if key not in self.known:
            self.known[key] = self._new(*key)
        return self.known[key][which]

    def free_bytes(self, first: int, number: int) -> Table:
        """Room that each range leaves on a group's cards [byte], however many stages follow."""
        key = self._alike(first), number
        if key not in self.known_free:
            run = self.run(key[0], 2, (self._place(number),))
            self.known_free[key] = self.asked.free_bytes(run)[self.which]
        return self.known_free[key]

    def _new(self, first: int, number: int) -> list[Ranges]:
        """Tables of all numbers of stages at once, as rows."""
        stages = np.array([fewest for fewest, _ in self.stage_counts])[:, None]
        run = self.run(first, stages, (self._place(number),))
        each = self.asked.looked_at(run)[0]
        step = run.step(each.sequences, each.new_tokens, each.cached_tokens, decode=bool(each.decode))
        times = np.broadcast_to(step.slowest_s, (len(stages), len(self.stage.first)))
        messages = {
            name: np.broadcast_to(value, stages.shape)[:, 0].tolist()
            for name, value in dataclasses.asdict(run.ports(each)[0]).items()
        }
        return [
            Ranges(
                time=row[self.which], ports=Ports(**{name: values[i] for name, values in messages.items()})
            )
            for i, row in enumerate(times)
        ]

    def _alike_counts(self, counts: range) -> Iterator[tuple[int, int]]:
        asked = self.asked

        def alike(stages: int) -> int:
            run = self.run(self.groups[0], stages)
            if asked.objective == "memory":
                return 0
            if run.about.wiring.tensor_bytes:
                # A hop carries the description of a stage's share of the layers.
                return stages
            return 0 if asked.objective == "ttft" else int(run.micro_batches)

        for _, group in itertools.groupby(counts, key=alike):
            same = list(group)
            yield same[0], same[-1]

    def _from(self, first: int) -> Cluster:
        """The cluster with a group's hosts first."""
        cluster = self.asked.cluster
        groups = (cluster.groups[first], *cluster.groups[:first], *cluster.groups[first + 1 :])
        return dataclasses.replace(cluster, groups=groups)

    def _alike(self, first: int) -> int:
        """The earliest group whose machines, as the first ones, make the same tables: the engine's own times
        are those of the first machine."""
        return next(n for n in self.groups if self.about[n].overheads == self.about[first].overheads)

    def _place(self, number: int) -> Place:
        """A stage of each range on a slot of a group, its hops left out."""
        own = self.about[number]
        return Place(
            stage=self.stage,
            group=self.asked.cluster.groups[number],
            device=own.devices[0],
            efficiency=own.efficiencies[0],
            hops_inside=0.0,
            hops_across=0.0,
        )


def _every_range(model: Model) -> tuple[Stage, NDArray[np.intp], NDArray[np.bool_]]:
    """Unlike stages of all ranges of layers, which one each range is, and which ranges there are.

    Ranges are told by the layer that they end before and how many they hold. One from the first layer on is
    the first stage, one up to the last layer the last.
    """
    ends, held = np.arange(model.layers + 1)[:, None], np.arange(1, model.layers + 1)
    starts = np.maximum(ends - held, 0)
    before = [
        np.concatenate([[0], np.cumsum([kind == each for each in model.layer_kinds])])
        for kind in layer_kinds(model)
    ]
    counts = [total[ends] - total[starts] for total in before]
    roles = np.stack([*counts, starts == 0, (ends == model.layers) & (held > 0)], axis=-1).astype(int)
    unlike, which = np.unique(roles.reshape(-1, roles.shape[-1]), axis=0, return_inverse=True)
    *kinds, first, last = unlike.T
    return Stage(tuple(kinds), first, last, 0, 1), which.reshape(starts.shape), held <= ends
