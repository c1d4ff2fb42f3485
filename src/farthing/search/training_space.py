"""All training plans that a cluster and a model allow, as rows of sizes and the choices that each row has."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from farthing.errors import InvalidInput
from farthing.estimate.subject import check_expert_parallel, cuts_heads
from farthing.predict.fabric import joined_cards
from farthing.records.hardware import Cluster
from farthing.records.model import Model
from farthing.records.plan import Offload, RankOrder, Recompute, TrainingPlan
from farthing.records.workload import TrainingWorkload
from farthing.search.divisors import divisors
from farthing.search.training_stages import Pipeline, Recomputation, StageOptions, stage_options

Ints = NDArray[np.int64]

SIZES: Final = ("tp", "pp", "dp", "cp", "ep", "expert_tp", "micro_batch_size", "interleave")
"""Fields that every divisor is tried for, unless they are given."""

WORDS: Final[Mapping[str, tuple[Any, ...]]] = {
    "sequence_parallel": (True, False),
    "zero_stage": (1, 0, 2, 3),
    "schedule": ("1f1b", "interleaved", "zero-bubble", "gpipe"),
    "rank_order": get_args(RankOrder),
    "recompute": get_args(Recompute),
    "offload": get_args(Offload),
}
"""Fields with few values, all of which are tried unless they are given; of equal plans the earlier wins."""

OPEN: Final = (*SIZES, *WORDS, "first_spared", "last_spared", "recompute_layers", "recompute_share")
"""Fields that a search works out. All others are as given; a list of values makes one of them an axis too."""

SPARED: Final = ((0, 0), (0, 1), (1, 1))
"""Layers that the first and the last stage are spared, where none are given."""


@dataclass(frozen=True, slots=True)
class Rows:
    """Plans of as many stages that differ in sizes, one an element.

    Attributes
    ----------
    pp
        Of all rows.
    tp, dp, cp, ep, expert_tp, micro_batch_size, sequence_parallel
        Columns; rows with sequence parallelism come first.
    zero_stages, rank_orders
        Which of the words each row may have: bit ``i`` stands for word ``i``.
    words
        Values of ``zero_stage``, ``rank_order`` and ``offload``.
    pipelines, recomputations
        That may run; interleaving only where ``pp`` divides the micro-batches. Recomputation of none or of
        some of the layers comes before that by other words.
    """

    pp: int
    tp: Ints
    dp: Ints
    cp: Ints
    ep: Ints
    expert_tp: Ints
    micro_batch_size: Ints
    sequence_parallel: NDArray[np.bool_]
    zero_stages: Ints
    rank_orders: Ints
    words: Mapping[str, tuple[Any, ...]]
    pipelines: tuple[Pipeline, ...]
    recomputations: tuple[Recomputation, ...]

    def __len__(self) -> int:
        return len(self.tp)

    def part(self, rows: Any) -> Rows:
        """Some of the rows."""
        return replace(self, **{name: getattr(self, name)[rows] for name in COLUMNS})

    @staticmethod
    def together(parts: Sequence[Rows]) -> Rows:
        """Parts of the same rows that follow each other."""
        columns: dict[str, Any] = {
            name: np.concatenate([getattr(one, name) for one in parts]) for name in COLUMNS
        }
        return replace(parts[0], **columns)

    def plan(self, base: TrainingPlan, words: Mapping[str, Any], row: int, way: int) -> TrainingPlan:
        """One plan: a row with words that it may have, and a way to recompute."""
        again = self.recomputations[way]
        sizes: dict[str, Any] = {name: int(getattr(self, name)[row]) for name in SIZE_COLUMNS}
        if sizes["expert_tp"] == sizes["tp"]:
            sizes["expert_tp"] = 0
        return replace(
            base,
            pp=self.pp,
            sequence_parallel=bool(self.sequence_parallel[row]),
            recompute=again.word,
            recompute_share=again.share,
            recompute_layers=again.layers,
            **sizes,
            **words,
        )


SIZE_COLUMNS: Final = ("tp", "dp", "cp", "ep", "expert_tp", "micro_batch_size")
COLUMNS: Final = (*SIZE_COLUMNS, "sequence_parallel", "zero_stages", "rank_orders")


@dataclass(slots=True)
class TrainingSpace:
    """The legal plans, and how many plans each rule took out.

    Attributes
    ----------
    variants
        Plans that differ in what is no axis of the rows: formats, engine, and the like.
    rows
        Groups of like rows.
    candidates, removed
        Of all variants: plans before any rule, and those that each rule took out, in order.
    """

    variants: tuple[TrainingPlan, ...]
    rows: list[Rows] = field(default_factory=list)
    candidates: int = 0
    removed: dict[str, int] = field(default_factory=dict)

    @property
    def evaluated(self) -> int:
        """Plans that no rule took out."""
        return self.candidates - sum(self.removed.values())

    def remove(self, rule: str, plans: int) -> None:
        """Count what a rule takes out."""
        if plans:
            self.removed[rule] = self.removed.get(rule, 0) + plans


def values(given: Any) -> tuple[Any, ...]:
    """Allowed values: those of a list, each once, or a single one alone."""
    if not isinstance(given, (list, tuple)):
        return (given,)
    return tuple(value for place, value in enumerate(given) if value not in given[:place])


def training_space(
    model: Model,
    cluster: Cluster,
    workload: TrainingWorkload,
    given: Mapping[str, Any],
    *,
    cards: int = 0,
) -> TrainingSpace:
    """All legal plans on so many cards.

    Parameters
    ----------
    model, cluster, workload
        What is trained, and on what.
    given
        Fields of `TrainingPlan`: a value fixes a field, a list leaves a choice, and the rest of `OPEN` is
        open.
    cards
        That every plan uses; 0 uses all.

    Raises
    ------
    InvalidInput
        An empty list, or a value that no plan can have.

    Examples
    --------
    >>> from farthing.catalog import model
    >>> from farthing.catalog.cluster import parse_cluster
    >>> space = training_space(model("llama-2-7b"), parse_cluster("1x2:h100-sxm"),
    ...     TrainingWorkload(sequence_tokens=4096, global_batch_size=8), {"zero_stage": 1})
    >>> sorted({(int(tp), rows.pp, int(dp)) for rows in space.rows for tp, dp in zip(rows.tp, rows.dp)})
    [(1, 1, 1), (1, 1, 2), (1, 2, 1), (2, 1, 1)]
    """
    choices = {name: values(value) for name, value in given.items()}
    _check_values(model, choices)
    _check_choices(model, choices)
    if "recompute" not in choices and any(
        1 not in choices.get(name, (1,)) for name in ("recompute_share", "recompute_layers")
    ):
        # Part of the layers, or groups of them, are ways of full recomputation.
        choices["recompute"] = ("full",)
    outer = {name: options for name, options in choices.items() if name not in OPEN}
    if "nvme" in outer.get("offload_to", ()) and _in_host_memory(cluster):
        outer["offload_to"] = ("nvme",)  # there is no other memory to offload to
    variants = tuple(
        TrainingPlan(**dict(zip(outer, combination, strict=True)))
        for combination in itertools.product(*outer.values())
    )
    return _Builder(model, cluster, workload, choices, cards or cluster.count, variants).build()


def _check_values(model: Model, choices: Mapping[str, tuple[Any, ...]]) -> None:
    """Each value must be one that a plan of the model can have."""
    for name, options in choices.items():
        if not options:
            raise InvalidInput(f"plan: {name} has no values to choose from; name one, or leave it out")
        for option in options:
            replace(TrainingPlan(), **{name: option})
    if not model.is_moe:
        check_expert_parallel(model, max(choices.get("ep", (1,))), 1, "tp x cp x dp / expert_tp")
        if max(choices.get("expert_tp", (0,))) > 1:
            raise InvalidInput(
                f"expert_tp needs a mixture-of-experts model; {model.id} is dense: leave it out"
            )


def _in_host_memory(cluster: Cluster) -> bool:
    """Whether some cards compute in the memory of their host."""
    cards = [group.accelerator for group in cluster.groups]
    return any(card.unified_memory or card.kind == "cpu" for card in cards)


def _check_choices(model: Model, choices: Mapping[str, tuple[Any, ...]]) -> None:
    """Fields that are given must go together."""
    schedules, virtual = choices.get("schedule", ("interleaved", "")), choices.get("interleave", (1, 2))
    if "interleaved" not in schedules and min(virtual) > 1:
        raise InvalidInput(
            "interleave > 1 needs the schedule interleaved; choose it, or leave interleave out"
        )
    if set(schedules) == {"interleaved"} and max(virtual) == 1:
        raise InvalidInput(
            "the schedule interleaved needs an interleave of at least 2; give one, or leave it out"
        )
    if (min(virtual) > 1 or set(schedules) == {"interleaved"}) and max(choices.get("pp", (2,))) == 1:
        raise InvalidInput(
            "interleaving needs a pipeline: allow pp of at least 2, or leave schedule and interleave out"
        )
    for name in ("recompute_share", "recompute_layers"):
        if set(choices.get(name, (1,))) != {1} and "full" not in choices.get("recompute", ("full",)):
            raise InvalidInput(f"{name} goes with recompute=full: choose it, or leave {name} out")
    for name in ("first_spared", "last_spared"):
        if min(choices.get(name, (0,))) >= model.layers:
            raise InvalidInput(
                f"{name}={min(choices[name])} leaves no layer of the {model.layers} of {model.id}: lower it"
            )


def size_broken(model: Model, workload: TrainingWorkload, axis: str, size: int) -> str:
    """The rule that a parallel size breaks whatever the others are, as Megatron-Core and torchtitan check it.

    Examples
    --------
    >>> from farthing.catalog import model
    >>> load = TrainingWorkload(sequence_tokens=4096, global_batch_size=12)
    >>> size_broken(model("llama-2-7b"), load, "dp", 8), size_broken(model("llama-2-7b"), load, "tp", 8)
    ('dp does not divide the global batch', '')
    """
    if axis == "tp":
        if not cuts_heads(model, size):
            return "tp does not divide the heads"
        if model.ffn_hidden % size or model.hidden % size:
            return "tp does not divide the feed-forward width"
    if axis == "pp" and size > model.layers:
        return "more stages than layers"
    if axis == "cp" and size > 1 and workload.sequence_tokens % (2 * size):
        return "cp does not cut the sequence in 2 x cp equal parts"
    if axis == "dp" and workload.global_batch_size % size:
        return "dp does not divide the global batch"
    return ""


def card_numbers(model: Model, workload: TrainingWorkload, given: Mapping[str, Any], most: int) -> list[int]:
    """Numbers of cards up to so many that legal sizes use wholly, the largest first.

    Other rules may still leave no plan on them.

    Examples
    --------
    >>> from farthing.catalog import model
    >>> load = TrainingWorkload(sequence_tokens=4096, global_batch_size=8)
    >>> card_numbers(model("llama-2-7b"), load, {"pp": 1}, most=63)
    [32, 16, 8, 4, 2, 1]
    """
    batch = workload.global_batch_size
    every: Mapping[str, Sequence[int]] = {
        "tp": divisors(model.hidden),
        "pp": range(1, model.layers + 1),
        "cp": divisors(workload.sequence_tokens),
        "dp": divisors(batch),
    }
    micro_batches = values(given.get("micro_batch_size", 1))
    found: Ints = np.ones(1, dtype=np.int64)
    for axis, sizes in every.items():
        allowed = values(given[axis]) if axis in given else sizes
        legal = [size for size in sizes if size in allowed and not size_broken(model, workload, axis, size)]
        if axis == "dp":
            legal = [dp for dp in legal if any(batch // dp % size == 0 for size in micro_batches)]
        found = np.unique(np.multiply.outer(found, np.array(legal, dtype=np.int64)))
        found = found[found <= most]
    return [int(cards) for cards in found[::-1]]


_Layout: TypeAlias = tuple[int, int, int, int, int, bool, int, int]
"""What rows that differ in the micro-batch alone share of `COLUMNS`."""


def _columns(layouts: Sequence[tuple[_Layout, Ints]]) -> Ints:
    """All rows of some layouts, each with sizes of its micro-batches."""
    shared = np.array([layout for layout, _ in layouts], dtype=np.int64).T
    found = np.repeat(shared, [len(sizes) for _, sizes in layouts], axis=1)
    place = COLUMNS.index("micro_batch_size")
    return np.insert(found, place, np.concatenate([sizes for _, sizes in layouts]), axis=0)


@dataclass(slots=True)
class _Builder:
    """Walks through the layouts, and counts what it leaves out."""

    model: Model
    cluster: Cluster
    workload: TrainingWorkload
    choices: Mapping[str, tuple[Any, ...]]
    cards: int
    variants: tuple[TrainingPlan, ...]
    space: TrainingSpace = field(init=False)
    words: dict[str, tuple[Any, ...]] = field(init=False)
    offloads: tuple[Offload, ...] = field(init=False)

    def build(self) -> TrainingSpace:
        self.space = TrainingSpace(self.variants)
        self.words = {name: self._words(name) for name in WORDS}
        self.offloads = self._offloads(self.words["offload"])
        layouts: dict[int, list[tuple[_Layout, Ints]]] = {}
        batches = self._micro_batches()
        for tp, pp, cp, dp in self._layouts():
            options = self._options(pp)
            inner = self._plans(options)
            pairs = self._experts(tp)
            every = inner * len(pairs) * len(batches)
            self.space.candidates += every
            rules = (
                size_broken(self.model, self.workload, axis, size)
                for axis, size in (("tp", tp), ("pp", pp), ("cp", cp), ("dp", dp))
            )
            rule = next(filter(None, rules), "")
            if rule:
                self.space.remove(rule, every)
                continue
            local = self.workload.global_batch_size // dp
            fitting = batches[local % batches == 0]
            odd = int(np.count_nonzero(local // fitting % pp))
            for ep, expert_tp in pairs:
                rule = self._experts_broken(tp, ep, expert_tp, tp * cp * dp)
                if rule:
                    self.space.remove(rule, inner * len(batches))
                    continue
                self.space.remove(
                    "micro-batches do not divide a replica's batch", inner * (len(batches) - len(fitting))
                )
                for layout in self._kept(options, (tp, pp, cp, dp, ep, expert_tp), len(fitting), odd):
                    layouts.setdefault(pp, []).append((layout, fitting))
        for pp, parts in layouts.items():
            options = self._options(pp)
            found = _columns(parts)
            found = found[:, np.argsort(~found[len(SIZE_COLUMNS)].astype(bool), kind="stable")]
            own = dict(zip(COLUMNS, found, strict=True))
            own["sequence_parallel"] = own["sequence_parallel"].astype(bool)
            local = self.workload.global_batch_size // own["dp"] // own["micro_batch_size"]
            if options.interleaved == len(options.pipelines):
                own = {name: column[local % pp == 0] for name, column in own.items()}
            if not (options.pipelines and len(own["tp"])):
                continue
            self.space.rows.append(
                Rows(
                    pp=pp,
                    words={
                        "zero_stage": self.words["zero_stage"],
                        "rank_order": self.words["rank_order"],
                        "offload": self.offloads,
                    },
                    pipelines=options.pipelines,
                    recomputations=options.recomputations,
                    **own,
                )
            )
        return self.space

    def _layouts(self) -> Iterator[tuple[int, int, int, int]]:
        """Sizes of tensor, pipeline, context and data parallelism that use all cards."""
        for tp in self._sizes("tp", self.cards):
            for pp in self._sizes("pp", self.cards // tp):
                for cp in self._sizes("cp", self.cards // tp // pp):
                    dp = self.cards // tp // pp // cp
                    if "dp" not in self.choices or dp in self.choices["dp"]:
                        yield tp, pp, cp, dp

    def _sizes(self, axis: str, room: int) -> list[int]:
        allowed = self.choices.get(axis)
        return [size for size in divisors(room) if allowed is None or size in allowed]

    def _micro_batches(self) -> Ints:
        allowed = self.choices.get("micro_batch_size") or divisors(self.workload.global_batch_size)
        return np.array(sorted(allowed), dtype=np.int64)

    def _experts(self, tp: int) -> list[tuple[int, int]]:
        if not self.model.is_moe:
            return [(1, 0)]
        groups = self.choices.get("ep") or divisors(self.model.experts)
        cut = self.choices.get("expert_tp")
        inside = dict.fromkeys(size or tp for size in cut) if cut else divisors(tp)
        return list(itertools.product(groups, inside))

    def _experts_broken(self, tp: int, ep: int, expert_tp: int, over: int) -> str:
        if not self.model.is_moe:
            return ""
        if tp % expert_tp:
            return "expert_tp does not divide tp"
        if self.model.experts % ep:
            return "ep does not divide the experts"
        if self.model.moe_ffn_hidden % expert_tp:
            return "expert_tp does not divide an expert's width"
        if over % (ep * expert_tp):
            return "ep x expert_tp does not divide tp x cp x dp"
        return ""

    def _kept(
        self, options: StageOptions, sizes: tuple[int, int, int, int, int, int], batches: int, odd: int
    ) -> Iterator[_Layout]:
        """Choices that one layout has, with and without sequence parallelism; counts those that it has not.

        ``batches`` are sizes of a micro-batch, and ``odd`` those that make no multiple of the stages.
        """
        tp, _, cp, dp, ep, expert_tp = sizes
        plans = self._plans(options) * batches
        words, masks = {}, []
        for name, choose, rule in (
            ("sequence_parallel", self._sequence_parallel, "sequence parallelism changes or cuts nothing"),
            ("zero_stage", self._zero_stages, "one replica has nothing to shard"),
            ("rank_order", self._rank_orders, "another order of ranks is the same, or parts experts"),
        ):
            every = self.words[name]
            words[name] = choose(every, sizes)
            masks.append(sum(1 << every.index(word) for word in words[name]))
            plans = self._keep(rule, plans, len(every), len(words[name]))
        plans = self._keep(
            "the card computes in the host's memory", plans, len(self.words["offload"]), len(self.offloads)
        )
        if not plans:
            return
        plans //= options.pipeline_choices
        for rule, share in options.removed.items():
            self.space.remove(rule, plans * share)
        lost = plans // batches * options.interleaved * odd
        self.space.remove("interleaving needs a multiple of pp micro-batches", lost)
        _, zero_stages, rank_orders = masks
        for sequence_parallel in words["sequence_parallel"]:
            yield tp, dp, cp, ep, expert_tp, bool(sequence_parallel), zero_stages, rank_orders

    def _keep(self, rule: str, plans: int, every: int, kept: int) -> int:
        """Plans that are left of so many where a field keeps some of its values."""
        left = plans // every * kept
        self.space.remove(rule, plans - left)
        return left

    def _words(self, name: str) -> tuple[Any, ...]:
        """Allowed words, the one that wins among equals first."""
        allowed = self.choices.get(name)
        return tuple(word for word in WORDS[name] if allowed is None or word in allowed)

    def _sequence_parallel(self, every: tuple[bool, ...], sizes: Sequence[int]) -> tuple[bool, ...]:
        tp, _, cp = sizes[:3]
        if tp == 1:
            return every[:1]
        if self.workload.sequence_tokens // cp % tp:
            return tuple(word for word in every if not word)
        return every

    def _zero_stages(self, every: tuple[int, ...], sizes: Sequence[int]) -> tuple[int, ...]:
        tp, _, cp, dp, ep, expert_tp = sizes
        alone = dp * cp == 1 and (not self.model.is_moe or tp <= ep * expert_tp)
        return every[:1] if alone else every

    def _rank_orders(self, every: tuple[RankOrder, ...], sizes: Sequence[int]) -> tuple[RankOrder, ...]:
        tp, pp, cp, dp, ep, expert_tp = sizes
        legal = every
        if self.model.is_moe and ep * expert_tp != tp * cp:
            legal = tuple(order for order in every if order == "tp-cp-dp-pp")
        domains = [joined_cards(group) for group in self.cluster.groups]
        apart = all(tp * cp % domain == 0 for domain in domains)
        together = all(self.cards <= domain for domain in domains)
        return legal[:1] if pp == 1 or dp == 1 or apart or together else legal

    def _offloads(self, every: tuple[Offload, ...]) -> tuple[Offload, ...]:
        to_memory = all(variant.offload_to == "memory" for variant in self.variants)
        if to_memory and _in_host_memory(self.cluster):
            return tuple(word for word in every if word == "none")
        return every

    def _options(self, pp: int) -> StageOptions:
        return stage_options(
            self.model.layers,
            pp,
            schedules=self.words["schedule"],
            interleaves=self.choices.get("interleave"),
            spared=self._spared(),
            words=self.words["recompute"],
            groups=self.choices.get("recompute_layers"),
            shares=self.choices.get("recompute_share"),
            flash_attention=all(variant.flash_attention for variant in self.variants),
        )

    def _plans(self, options: StageOptions) -> int:
        """Plans of one combination of sizes before any rule."""
        words = ("sequence_parallel", "zero_stage", "rank_order", "offload")
        count = options.pipeline_choices * len(options.recomputations) * len(self.variants)
        return count * math.prod(len(self.words[name]) for name in words)

    def _spared(self) -> tuple[tuple[int, int], ...]:
        if "first_spared" not in self.choices and "last_spared" not in self.choices:
            return SPARED
        return tuple(
            itertools.product(self.choices.get("first_spared", (0,)), self.choices.get("last_spared", (0,)))
        )
