"""Which layers each of several unlike machines should serve: the best of all ranges, not a rule of thumb."""

from __future__ import annotations

import bisect
import dataclasses
import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from farthing import catalog
from farthing.errors import InvalidInput
from farthing.estimate.engine import usual_engine
from farthing.estimate.run import Pass, Run, check, run_of
from farthing.estimate.subject import Subject, subject
from farthing.predict.hops import Ports, crossing_time_s, ends_time_s, hop_time_s
from farthing.predict.inference import speculated_tokens
from farthing.predict.placement import Place
from farthing.predict.stages import Stage, layer_kinds
from farthing.predict.trace import Number, untraced
from farthing.records.hardware import Cluster
from farthing.records.model import Model
from farthing.records.plan import InferencePlan
from farthing.records.search import InferenceObjective
from farthing.records.workload import InferenceWorkload
from farthing.search.chain import Chain, Cut, Hop, Machines, Problem, Table, best_cut
from farthing.search.machine_order import reordered, unused
from farthing.units import format_bytes

MOST_ORDERED: Final = 2048
"""Groups of hosts are tried in every order where two to their number, times the most stages, is at most this;
beyond, in the order written alone: the work grows with it."""

_Stages: TypeAlias = tuple[tuple[int, int], ...]
"""Of each stage the group of its machine and its layers."""

SLIMMER: Final = ("fp8", "q4_k_m")
"""Formats of weights that are tried where memory does not suffice."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerRanges:
    """The best split of a model's layers over a cluster's machines.

    Attributes
    ----------
    cluster
        The same machines in the order of the stages; those that serve none come last.
    plan
        As asked, with ``pp``, ``stage_layers`` and the engine filled in.
    value
        What was made least: seconds; for ``memory`` the bytes that the fullest card lacks, negative where it
        has room left. Infinite where nothing fits.
    missing_bytes
        What all cards together lack at the least; 0 where the plan fits.
    unused
        Machines, or cards of one, that serve no layers, in words.
    any_order
        The machines' order was searched too.
    would_help
        Changes that would make the model fit, in words.
    """

    cluster: Cluster
    plan: InferencePlan
    value: float
    missing_bytes: float = 0.0
    unused: tuple[str, ...] = ()
    any_order: bool = True
    would_help: tuple[str, ...] = ()

    @property
    def fits(self) -> bool:
        """Whether every card has room for what it serves."""
        return self.missing_bytes == 0

    @property
    def misfit(self) -> str:
        """What is missing and what would help, in words; empty where the plan fits."""
        if self.fits:
            return ""
        what = f"needs {format_bytes(self.missing_bytes, binary=True)} more in all"
        return f"{what}; would fit: {', or '.join(self.would_help)}" if self.would_help else what


def best_layer_ranges(
    model: Model,
    cluster: Cluster,
    workload: InferenceWorkload,
    plan: InferencePlan,
    *,
    objective: InferenceObjective = "tpot",
    headroom_share: float = 0.0,
    ideal: bool = False,
) -> LayerRanges:
    """The layers of each machine that serve a load best, of all ranges that fit the cards' memory.

    All cuts of the layers are considered, on any of the machines and, where there are few groups of them, in
    any order. A machine serves with all its cards or not at all, but for the last one of the chain; machines
    of a group follow each other. Times and bytes are those that `farthing.infer` gives for the returned
    cluster and plan.

    Parameters
    ----------
    model, cluster, workload
        What to serve, on machines of several groups, and how much.
    plan
        All but ``pp`` and ``stage_layers``, which are found here; ``dp`` must be 1.
    objective
        ``tpot`` and ``tokens-per-s``: the least time between two tokens, which at a given batch are the most
        tokens; ``ttft``: the least time to the first token; ``memory``: the most room on the fullest card.
        ``usd`` and ``energy`` are taken as ``tpot``: all machines are paid for, and money and energy of a
        token follow its time, but for the draw of busy cards above that of waiting ones.
    headroom_share
        Share of each card's memory that must stay free.
    ideal
        Paper arithmetic: every efficiency is 1.

    Returns
    -------
    LayerRanges
        Where nothing fits, the plan that lacks the least memory in all.

    Raises
    ------
    InvalidInput
        One group of hosts alone, no host with cards for ``tp``, or a plan that the model cannot follow.

    Examples
    --------
    The small fast card takes what it can hold, and the head; the Mac takes the rest.

    >>> from farthing.catalog import model
    >>> from farthing.catalog.cluster import parse_cluster
    >>> cluster = parse_cluster("1x1:m2-ultra+1x1:rtx-4090@10gbe")
    >>> found = best_layer_ranges(model("llama-2-70b"), cluster, InferenceWorkload(),
    ...                           InferencePlan(weight_format="q4_k_m"))
    >>> found.fits, [group.accelerator.id for group in found.cluster.groups], found.plan.stage_layers
    (True, ['m2-ultra', 'rtx-4090'], (34, 46))
    """
    if len(cluster.groups) < 2:
        raise InvalidInput(
            f"{cluster.name} has like hosts alone, whose stages are cut evenly; join unlike ones with +"
        )
    if not 0 <= headroom_share < 1:
        raise InvalidInput(f"headroom_share must be in [0, 1), not {headroom_share:g}")
    if not plan.engine and not ideal:
        plan = dataclasses.replace(plan, engine=usual_engine(cluster, plan.weight_format).id)
    plan = dataclasses.replace(plan, pp=1, stage_layers=())
    check(model, cluster, workload, plan)
    search = _Search(model, cluster, workload, plan, objective, headroom_share, ideal)
    found = search.best()
    return found if found is not None else search.least_missing()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Ranges:
    """Times of every range of layers on a slot of one group's hosts.

    ``time`` of a stage [s], by the layer that a range ends before and how many it holds; its messages; the
    objective's value from the total and the slowest stage, and in how many ``rounds`` the slowest counts.
    """

    time: Table
    ports: Ports
    value: Callable[[Any, Any], Any]
    rounds: int


class _Search:
    """One question, and the tables that answer it."""

    def __init__(
        self,
        model: Model,
        cluster: Cluster,
        workload: InferenceWorkload,
        plan: InferencePlan,
        objective: InferenceObjective,
        headroom_share: float,
        ideal: bool,
    ) -> None:
        self.model, self.cluster, self.workload, self.plan = model, cluster, workload, plan
        self.objective, self.headroom_share, self.ideal = objective, headroom_share, ideal
        self.slots = [group.accelerators_per_host // plan.tp for group in cluster.groups]
        self.groups = [number for number, slots in enumerate(self.slots) if slots]
        room = sum(self._room(number) for number in self.groups)
        self.most_stages = min(room, model.layers)
        self.any_order = 2 ** len(self.groups) * self.most_stages <= MOST_ORDERED
        self.stage, self.which, self.whole = _every_range(model)
        self.about = {number: self._subject(self._from(number)) for number in self.groups}
        # Tokens that a step of speculative decoding yields.
        self.yielded = speculated_tokens(workload.draft_tokens, workload.acceptance_rate)
        self.known_ranges: dict[tuple[int, int, int], _Ranges] = {}
        self.known_room: dict[tuple[int, int], Table] = {}

    def best(self) -> LayerRanges | None:
        """The best plan that fits; None where none does."""
        best, where = math.inf, None
        for alone in self._alone():
            value = self._value(alone)
            if value < best:
                best, where = value, alone
        problems = [
            self._problem(first, stages)
            for stages in self._stage_counts()
            for first in self.groups
            if self._reach(first) >= stages[0]
        ]
        found = best_cut(problems, best)
        if found is not None:
            where = self._stages(found[2])
            best = self._value(where)
        return None if where is None else self._answer(where, value=best)

    def least_missing(self) -> LayerRanges:
        """The plan that lacks the least memory in all, and what would help."""
        missing, where = self._missing()
        return self._answer(
            where, value=math.inf, missing_bytes=missing, would_help=tuple(self._would_help())
        )

    def _room(self, number: int) -> int:
        return int(self.cluster.groups[number].hosts * self.slots[number])

    def _reach(self, first: int) -> int:
        """Stages that there is room for in a chain that starts on a group."""
        return sum(self._room(number) for number in self.groups if self.any_order or number >= first)

    def _from(self, first: int) -> Cluster:
        """The cluster with a group's hosts first."""
        groups = self.cluster.groups
        return dataclasses.replace(
            self.cluster, groups=(groups[first], *groups[:first], *groups[first + 1 :])
        )

    def _subject(self, cluster: Cluster) -> Subject:
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

    def _stage_counts(self) -> Iterator[tuple[int, int]]:
        """Numbers of stages, from and to, with which a stage takes the same time."""

        def alike(stages: int) -> int:
            run = self._run(self.groups[0], stages, ())
            if self.objective == "memory":
                return 0
            if run.about.wiring.tensor_bytes:
                # A hop carries the description of a stage's share of the layers.
                return stages
            return 0 if self.objective == "ttft" else run.micro_batches

        for _, same in itertools.groupby(range(2, self.most_stages + 1), key=alike):
            counts = list(same)
            yield counts[0], counts[-1]

    def _run(self, first: int, stages: int, placed: tuple[Place, ...]) -> Run:
        plan = dataclasses.replace(self.plan, pp=stages)
        return Run(self.about[first], self.workload, plan, placed, self.workload.batch_size)

    def _ranges(self, first: int, number: int, stages: int) -> _Ranges:
        """All ranges on a group's slots, in a pipeline of so many stages that starts on another group."""
        key = self._alike(first), number, stages
        if key not in self.known_ranges:
            self.known_ranges[key] = self._new_ranges(*key)
        return self.known_ranges[key]

    def _new_ranges(self, first: int, number: int, stages: int) -> _Ranges:
        run = self._run(first, stages, (self._place(number),))
        each, rounds, value = self._objective(run)
        step = run.step(each.sequences, each.new_tokens, each.cached_tokens, decode=bool(each.decode))
        return _Ranges(
            time=step.slowest_s[self.which], ports=run.ports(each)[0], value=value, rounds=int(rounds)
        )

    def _objective(self, run: Run) -> tuple[Pass, Number, Callable[[Any, Any], Any]]:
        """The pass that is looked at, how often the slowest stage counts in it, and what a run then takes."""
        if self.objective == "ttft":
            prompt, pieces = run.prefill_pass(1)
            request_s = run.about.overheads.request_s
            return prompt, pieces, lambda total, slowest: run.prefilled_s(total, slowest, pieces) + request_s
        each = run.decode_pass
        return each, run.micro_batches, lambda total, slowest: run.decoded_s(total, slowest) / self.yielded

    def _card_room(self, first: int, number: int) -> Table:
        """Room that each range leaves on a group's cards [byte], however many stages follow."""
        key = self._alike(first), number
        if key not in self.known_room:
            self.known_room[key] = self._free(self._run(key[0], 2, (self._place(number),)))[self.which]
        return self.known_room[key]

    def _alike(self, first: int) -> int:
        """The earliest group whose machines, as the first ones, make the same tables: the engine's own times
        are those of the first machine."""
        return next(n for n in self.groups if self.about[n].overheads == self.about[first].overheads)

    def _place(self, number: int) -> Place:
        """A stage of each range on a slot of a group, its hops left out."""
        own = self.about[number]
        return Place(
            stage=self.stage,
            group=self.cluster.groups[number],
            device=own.devices[0],
            efficiency=own.efficiencies[0],
            hops_inside=0.0,
            hops_across=0.0,
        )

    def _free(self, run: Run) -> Any:
        """Room on the fullest card above what must stay free [byte]."""
        memory = run.memory()
        return memory.free_bytes - self.headroom_share * memory.capacity_bytes

    def _problem(self, first: int, stages: tuple[int, int]) -> Problem:
        """The best of the chains that start on a group and have so many stages."""
        tables = {number: self._ranges(first, number, stages[0]) for number in self.groups}
        wiring, begin = self.about[first].wiring, tables[first].ports
        roomy = self.objective == "memory"

        def machines(number: int, table: _Ranges) -> Machines:
            across = (
                Hop(
                    float(crossing_time_s(table.ports, there.ports, begin, wiring=wiring)),
                    0.0 if roomy else float(hop_time_s(table.ports, there.ports)),
                )
                for there in tables.values()
            )
            inside, room = float(table.ports.inside), self._card_room(first, number)
            return Machines(
                hosts=self.cluster.groups[number].hosts,
                slots=self.slots[number],
                cost=np.where(self.whole & (room >= 0), table.time, np.inf),
                peak=-room if roomy else table.time,
                inside=Hop(inside, 0.0 if roomy else inside),
                across=tuple(across),
            )

        chain = Chain(
            machines=tuple(itertools.starmap(machines, tables.items())),
            first=self.groups.index(first),
            least=stages[0],
            most=stages[1],
            ends=tuple(
                (
                    float(ends_time_s(begin, table.ports, 0, wiring=wiring)),
                    float(ends_time_s(begin, table.ports, 1, wiring=wiring)),
                )
                for table in tables.values()
            ),
            any_order=self.any_order,
        )
        if roomy:
            return Problem(chain=chain, value=lambda total, peak: peak, peaks_count=True)
        return Problem(chain=chain, value=tables[first].value, peaks_count=tables[first].rounds > 1)

    def _lack(self, first: int) -> Problem:
        """The least memory that chains that start on a group lack in all."""
        nothing = Hop(0.0, 0.0)
        machines = []
        for number in self.groups:
            lack = np.maximum(-self._card_room(first, number), 0.0) * self.plan.tp
            machines.append(
                Machines(
                    hosts=self.cluster.groups[number].hosts,
                    slots=self.slots[number],
                    cost=np.where(self.whole, lack, np.inf),
                    peak=lack,
                    inside=nothing,
                    across=(nothing,) * len(self.groups),
                )
            )
        chain = Chain(
            machines=tuple(machines),
            first=self.groups.index(first),
            least=2,
            most=self.most_stages,
            ends=((0.0, 0.0),) * len(machines),
            any_order=self.any_order,
        )
        return Problem(chain=chain, value=lambda total, peak: total, peaks_count=False)

    def _missing(self) -> tuple[float, _Stages]:
        """What all cards lack together at the least [byte], and with which stages."""
        least, where = min(
            (max(-float(untraced(self._free(self._placed(alone)))), 0.0) * self.plan.tp, alone)
            for alone in self._alone()
        )
        found = best_cut([self._lack(first) for first in self.groups if self._reach(first) > 1], least)
        return (least, where) if found is None else (found[0], self._stages(found[2]))

    def _would_help(self) -> Iterator[str]:
        def fits(workload: InferenceWorkload, plan: InferencePlan) -> bool:
            other = _Search(
                self.model, self.cluster, workload, plan, self.objective, self.headroom_share, self.ideal
            )
            return other._missing()[0] == 0

        batch = bisect.bisect_left(
            range(max(self.plan.micro_batches, 1), self.workload.batch_size),
            True,
            key=lambda size: not fits(dataclasses.replace(self.workload, batch_size=size), self.plan),
        )
        if batch:
            yield f"a batch of {batch + max(self.plan.micro_batches, 1) - 1}"
        own = self.about[self.groups[0]].weights
        for name in SLIMMER:
            lighter = catalog.number_format(name).bits < own.bits
            slim = dataclasses.replace(self.plan, weight_format=name, compute_format="", dense_format="")
            if lighter and fits(self.workload, slim):
                yield f"{name} weights"
                return

    def _alone(self) -> list[_Stages]:
        """One machine's first cards serve all layers."""
        return [((number, self.model.layers),) for number in self.groups]

    def _stages(self, cut: Cut) -> _Stages:
        return tuple((self.groups[kind], layers) for kind, layers in cut.stages)

    def _complete(self, stages: _Stages) -> InferencePlan:
        return dataclasses.replace(
            self.plan, pp=len(stages), stage_layers=tuple(layers for _, layers in stages)
        )

    def _placed(self, stages: _Stages) -> Run:
        """The run of an answer, as an estimate makes it."""
        cluster = reordered(self.cluster, [number for number, _ in stages], self.slots)
        return run_of(self._subject(cluster), self.workload, self._complete(stages))

    def _value(self, stages: _Stages) -> float:
        """What is made least; infinite where the stages do not fit."""
        run = self._placed(stages)
        free = float(untraced(self._free(run)))
        if free < 0:
            return math.inf
        if self.objective == "memory":
            return -free
        if self.objective == "ttft":
            return float(run.prefill(1)[1] + run.about.overheads.request_s)
        return float(run.decode()[1] / self.yielded)

    def _answer(self, stages: _Stages, **found: Any) -> LayerRanges:
        order = [number for number, _ in stages]
        return LayerRanges(
            cluster=reordered(self.cluster, order, self.slots),
            plan=self._complete(stages),
            unused=tuple(unused(self.cluster, order, self.slots, self.plan.tp)),
            any_order=self.any_order,
            **found,
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
