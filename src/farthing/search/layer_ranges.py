"""Which layers each of several unlike machines should serve: the best of all ranges, not a rule of thumb."""

from __future__ import annotations

import bisect
import dataclasses
import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, TypeAlias, get_args

import numpy as np

from farthing import catalog
from farthing.errors import InvalidInput
from farthing.estimate.engine import usual_engine
from farthing.estimate.run import Run, check, run_of
from farthing.predict.hops import crossing_time_s, ends_time_s, hop_time_s
from farthing.predict.trace import untraced
from farthing.records.hardware import Cluster
from farthing.records.model import Model
from farthing.records.plan import InferencePlan
from farthing.records.search import InferenceObjective
from farthing.records.workload import InferenceWorkload
from farthing.search.chain import Chain, Cut, Hop, Machines, Order, Problem, best_cut
from farthing.search.machine_order import reordered, unused
from farthing.search.range_tables import Question, Ranges, RangeTables
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
    stages: int = 0,
    rearrange: bool = True,
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
    stages
        How many; 0: as many as are best.
    rearrange
        Machines may change places and be left out. Otherwise stages fill them as they come.
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
        One group of hosts alone, no host with cards for ``tp``, no room for so many stages, a plan that the
        model cannot follow, or an objective that there is not.

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
    if objective not in get_args(InferenceObjective):
        raise InvalidInput(f"no objective {objective!r}; there are {', '.join(get_args(InferenceObjective))}")
    if isinstance(stages, bool) or not isinstance(stages, int) or stages < 0:
        raise InvalidInput(f"stages must be a whole number, 0 for as many as are best, not {stages!r}")
    if not 0 <= headroom_share < 1:
        raise InvalidInput(f"headroom_share must be in [0, 1), not {headroom_share:g}")
    if not plan.engine and not ideal:
        plan = dataclasses.replace(plan, engine=usual_engine(cluster, plan.weight_format).id)
    plan = dataclasses.replace(plan, pp=max(stages, 1), stage_layers=())
    check(model, cluster, workload, plan)
    if not rearrange and any(group.accelerators_per_host < plan.tp for group in cluster.groups):
        raise InvalidInput(
            f"{cluster.name} has hosts with fewer than tp={plan.tp} cards: leave them out, or rearrange"
        )
    asked = Question(
        model=model,
        cluster=cluster,
        workload=workload,
        plan=plan,
        objective=objective,
        headroom_share=headroom_share,
        ideal=ideal,
    )
    search = _Search(asked, stages, rearrange)
    found = search.best()
    return found if found is not None else search.least_missing()


class _Search:
    """The answer to a question, from its tables."""

    def __init__(self, asked: Question, stages: int, rearrange: bool) -> None:
        self.asked, self.tables = asked, RangeTables(asked, stages)
        self.stages, self.groups = stages, self.tables.groups
        self.order: Order = "fixed"
        if rearrange:
            few = 2 ** len(self.groups) * self.tables.most_stages <= MOST_ORDERED
            self.order = "any" if few else "written"

    def best(self) -> LayerRanges | None:
        """The best plan that fits; None where none does."""
        best, where = math.inf, None
        for alone in self._alone():
            run = self._placed(alone)
            if self._lacks(run) == 0 and self.asked.value(run) < best:
                best, where = self.asked.value(run), alone
        found = best_cut(
            [
                self._problem(first, number, fewest, most)
                for number, (fewest, most) in enumerate(self.tables.stage_counts)
                for first in self._firsts(fewest)
            ],
            best,
        )
        if found is not None:
            where = self._cut(found[2])
        return None if where is None else self._answer(where, value=self.asked.value(self._placed(where)))

    def least_missing(self) -> LayerRanges:
        """The plan that lacks the least memory in all, and what would help."""
        missing, where = self.missing()
        return self._answer(
            where, value=math.inf, missing_bytes=missing, would_help=tuple(self._would_help())
        )

    def missing(self) -> tuple[float, _Stages]:
        """What all cards lack together at the least [byte], and with which stages."""
        found = [(self._lacks(self._placed(alone)), alone) for alone in self._alone()]
        least, where = min(found, default=(math.inf, ()))
        several = self._firsts(self.stages or 2) if self.stages != 1 else []
        cut = best_cut([self._lack(first) for first in several], least)
        return (least, where) if cut is None else (cut[0], self._cut(cut[2]))

    def _firsts(self, stages: int) -> list[int]:
        """Groups that a chain with room for so many stages may start on."""
        found = []
        for first in self.groups[:1] if self.order == "fixed" else self.groups:
            reached = [n for n in self.groups if self.order == "any" or n >= first]
            if sum(self.tables.room(number) for number in reached) >= stages:
                found.append(first)
        return found

    def _alone(self) -> list[_Stages]:
        """One machine's first cards serve all layers."""
        if self.stages > 1:
            return []
        return [((number, self.asked.model.layers),) for number in self._firsts(1)]

    def _problem(self, first: int, number: int, fewest: int, most: int) -> Problem:
        """The best of the chains that start on a group and have so many stages."""
        tables = {group: self.tables.ranges(first, group, number) for group in self.groups}
        wiring, begin = self.tables.about[first].wiring, tables[first].ports
        roomy = self.asked.objective == "memory"

        def machines(group: int, table: Ranges) -> Machines:
            free, inside = self.tables.free_bytes(first, group), table.ports.inside
            across = (
                Hop(
                    float(crossing_time_s(table.ports, there.ports, begin, wiring=wiring)),
                    0.0 if roomy else float(hop_time_s(table.ports, there.ports)),
                )
                for there in tables.values()
            )
            return Machines(
                hosts=self.asked.cluster.groups[group].hosts,
                slots=self.tables.slots[group],
                cost=np.where(self.tables.whole & (free >= 0), table.time, np.inf),
                peak=-free if roomy else table.time,
                inside=Hop(inside, 0.0 if roomy else inside),
                across=tuple(across),
            )

        chain = Chain(
            machines=tuple(itertools.starmap(machines, tables.items())),
            first=self.groups.index(first),
            least=fewest,
            most=most,
            ends=tuple(
                (
                    float(ends_time_s(begin, table.ports, 0, wiring=wiring)),
                    float(ends_time_s(begin, table.ports, 1, wiring=wiring)),
                )
                for table in tables.values()
            ),
            order=self.order,
        )
        if roomy:
            return Problem(chain=chain, value=lambda total, peak: peak, peaks_count=True)
        _, rounds, value = self.asked.looked_at(self.tables.run(first, fewest))
        return Problem(chain=chain, value=value, peaks_count=bool(rounds > 1))

    def _lack(self, first: int) -> Problem:
        """The least memory that chains that start on a group lack in all."""
        nothing = Hop(0.0, 0.0)
        machines = []
        for group in self.groups:
            lack = np.maximum(-self.tables.free_bytes(first, group), 0.0) * self.asked.plan.tp
            machines.append(
                Machines(
                    hosts=self.asked.cluster.groups[group].hosts,
                    slots=self.tables.slots[group],
                    cost=np.where(self.tables.whole, lack, np.inf),
                    peak=lack,
                    inside=nothing,
                    across=(nothing,) * len(self.groups),
                )
            )
        chain = Chain(
            machines=tuple(machines),
            first=self.groups.index(first),
            least=self.stages or 2,
            most=self.stages or self.tables.most_stages,
            ends=((0.0, 0.0),) * len(machines),
            order=self.order,
        )
        return Problem(chain=chain, value=lambda total, peak: total, peaks_count=False)

    def _lacks(self, run: Run) -> float:
        """What the cards of a single stage lack together [byte]."""
        return float(max(-untraced(self.asked.free_bytes(run)), 0.0) * self.asked.plan.tp)

    def _would_help(self) -> Iterator[str]:
        asked = self.asked

        def fits(**changes: Any) -> bool:
            other = dataclasses.replace(asked, **changes)
            return _Search(other, self.stages, self.order != "fixed").missing()[0] == 0

        least = max(asked.plan.micro_batches, 1)
        fitting = bisect.bisect_left(
            range(least, asked.workload.batch_size),
            True,
            key=lambda size: not fits(workload=dataclasses.replace(asked.workload, batch_size=size)),
        )
        if fitting:
            yield f"a batch of {least + fitting - 1}"
        own = catalog.number_format(asked.plan.weight_format)
        for name in SLIMMER:
            slim = dataclasses.replace(asked.plan, weight_format=name, compute_format="", dense_format="")
            if catalog.number_format(name).bits < own.bits and fits(plan=slim):
                yield f"{name} weights"
                return

    def _cut(self, cut: Cut) -> _Stages:
        return tuple((self.groups[kind], layers) for kind, layers in cut.stages)

    def _complete(self, stages: _Stages) -> InferencePlan:
        layers = tuple(layers for _, layers in stages)
        return dataclasses.replace(self.asked.plan, pp=len(stages), stage_layers=layers)

    def _placed(self, stages: _Stages) -> Run:
        """The run of an answer, as an estimate makes it."""
        cluster = reordered(self.asked.cluster, [number for number, _ in stages], self.tables.slots)
        return run_of(self.asked.about(cluster), self.asked.workload, self._complete(stages))

    def _answer(self, stages: _Stages, **found: Any) -> LayerRanges:
        order, slots = [number for number, _ in stages], self.tables.slots
        return LayerRanges(
            cluster=reordered(self.asked.cluster, order, slots),
            plan=self._complete(stages),
            unused=tuple(unused(self.asked.cluster, order, slots, self.asked.plan.tp)),
            any_order=self.order == "any",
            **found,
        )
