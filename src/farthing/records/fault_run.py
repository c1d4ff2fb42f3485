"""A training run whose parts fail: what fails, how it is noticed and repaired, and what is saved when."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final, Literal, get_args

from farthing.errors import InvalidInput

Strikes = Literal["card", "host", "rack", "link", "job"]
Lifetime = Literal["exponential", "weibull", "bathtub"]
CheckpointMode = Literal["sync", "async"]
Spread = Literal["constant", "exponential"]

LONGEST_S: Final = 1e12
"""Longer times (thirty thousand years) are slips of the finger."""

MOST_PARTS: Final = 10**9

MOST_EARLY: Final = 10.0
"""Parts that fail more often while they are young are no product."""

WALLS: Final = "a bathtub has walls: give early_failures, wear_s or both, or take an exponential lifetime"


def check_number(
    where: str,
    name: str,
    value: Any,
    low: float,
    high: float = LONGEST_S,
    *,
    whole: bool = False,
    above: bool = False,
) -> None:
    """Raise `InvalidInput` unless a number is in its range.

    Parameters
    ----------
    where, name
        As the message says it.
    value
        What somebody gave.
    low, high
        Its range.
    whole
        Only a whole number will do.
    above
        ``low`` itself is out of range.
    """
    kinds = (int,) if whole else (int, float)
    if isinstance(value, bool) or not isinstance(value, kinds):
        what = "whole number" if whole else "number"
        raise InvalidInput(f"{where}: {name} must be a {what}, not {value!r}")
    least = "more than" if above else "at least"
    if not (math.isfinite(value) and (value > low if above else value >= low)):
        raise InvalidInput(f"{where}: {name} must be {least} {low:g}, not {value:g}")
    if value > high:
        raise InvalidInput(f"{where}: {name} must be at most {high:g}, not {value:g}")


def check_word(where: str, name: str, value: Any, words: tuple[str, ...]) -> None:
    """Raise `InvalidInput` unless a word is one of a few."""
    if value not in words:
        raise InvalidInput(f"{where}: {name} must be one of {', '.join(words)}, not {value!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultCause:
    """Parts that fail for one reason; each failure stops the whole job.

    Parts are alike and independent. One that failed is replaced by a new one.

    Attributes
    ----------
    name
        In words: ``faulty GPU``.
    strikes
        ``card``, ``host``, ``rack`` (all its hosts at once), ``link``, or ``job``: software, that leaves all
        hardware in place.
    fault_parts
        How many parts may fail so.
    part_mtbf_s
        Mean life of one part [s]; of a bathtub the constant part of the hazard alone.
    lifetime
        ``exponential``; ``weibull`` with ``shape``; or ``bathtub``: early failures, a constant hazard and
        wear added up.
    shape
        Of the Weibull distribution: below 1 young parts fail more often, above 1 old ones.
    age_s
        Of every part when the run begins [s].
    early_failures, early_s, early_shape
        Bathtub: failures of a new part that come on top in its first ``early_s`` seconds, on average; they
        thin out with a shape below 1.
    wear_s, wear_shape
        Bathtub: age at which wear has failed 63% of the parts that nothing else failed [s]; 0: no wear. Its
        shape is above 1.
    hosts_out
        Hosts that one failure takes away until they are repaired.
    repair_s
        Time until they are back as spares [s].
    memory_survives
        Whether checkpoints in the memory of hosts outlive such a failure.
    followed_share
        Share of failures that another one follows, of other parts at the same place.
    follow_s
        Mean time until it does [s].
    basis
        Where the figures come from.
    """

    name: str
    strikes: Strikes
    fault_parts: int
    part_mtbf_s: float
    lifetime: Lifetime = "exponential"
    shape: float = 1.0
    age_s: float = 0.0
    early_failures: float = 0.0
    early_s: float = 30 * 86400.0
    early_shape: float = 0.5
    wear_s: float = 0.0
    wear_shape: float = 5.0
    hosts_out: int = 0
    repair_s: float = 0.0
    memory_survives: bool = True
    followed_share: float = 0.0
    follow_s: float = 600.0
    basis: str = ""

    def __post_init__(self) -> None:
        where = f"cause {self.name!r}"
        if not isinstance(self.name, str) or not self.name.strip():
            raise InvalidInput("a cause of failures needs a name")
        check_word(where, "strikes", self.strikes, get_args(Strikes))
        check_word(where, "lifetime", self.lifetime, get_args(Lifetime))
        check_number(where, "fault_parts", self.fault_parts, 1, MOST_PARTS, whole=True)
        check_number(where, "part_mtbf_s", self.part_mtbf_s, 0, above=True)
        check_number(where, "shape", self.shape, 0.3, 20)
        check_number(where, "age_s", self.age_s, 0)
        check_number(where, "early_failures", self.early_failures, 0, MOST_EARLY)
        check_number(where, "early_s", self.early_s, 0, above=True)
        check_number(where, "early_shape", self.early_shape, 0.3, 1)
        check_number(where, "wear_s", self.wear_s, 0)
        check_number(where, "wear_shape", self.wear_shape, 1, 20)
        check_number(where, "hosts_out", self.hosts_out, 0, MOST_PARTS, whole=True)
        check_number(where, "repair_s", self.repair_s, 0)
        check_number(where, "followed_share", self.followed_share, 0, 0.9)
        check_number(where, "follow_s", self.follow_s, 0, above=True)
        if self.lifetime == "bathtub" and not (self.early_failures or self.wear_s):
            raise InvalidInput(f"{where}: {WALLS}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Stragglers:
    """Parts that turn slow without failing: the whole synchronous job waits for them until they are noticed.

    Attributes
    ----------
    straggler_parts
        How many parts may turn slow.
    straggler_mtbf_s
        Mean time until one part does [s].
    slowdown
        Time of a step with a slow part over that without.
    notice_s
        Mean time until it is noticed [s]; it is then replaced at a restart, after a checkpoint.
    """

    straggler_parts: int
    straggler_mtbf_s: float
    slowdown: float = 1.2
    notice_s: float = 6 * 3600.0

    def __post_init__(self) -> None:
        check_number("stragglers", "straggler_parts", self.straggler_parts, 1, MOST_PARTS, whole=True)
        check_number("stragglers", "straggler_mtbf_s", self.straggler_mtbf_s, 0, above=True)
        check_number("stragglers", "slowdown", self.slowdown, 1, 1000)
        check_number("stragglers", "notice_s", self.notice_s, 0, above=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpointing:
    """What is saved, where, and how often.

    Attributes
    ----------
    checkpoint_mode
        ``sync``: the job waits for the whole write. ``async``: it waits ``snapshot_s``, and the checkpoint
        counts once it is written.
    interval_s
        Running time between two checkpoints on storage [s]; 0 takes Daly's best, and with checkpoints in
        memory at most 3 hours.
    stored_bytes
        Size of a checkpoint [byte].
    write_bytes_per_s, read_bytes_per_s
        What all hosts together reach on the storage [byte/s].
    snapshot_s
        Time that the job waits for an asynchronous checkpoint [s].
    memory_interval_s
        Time between two checkpoints kept in the memory of other hosts [s]; 0: none.
    memory_snapshot_s
        Time that the job waits for one of them [s].
    memory_load_s
        Time to load one of them at a restart [s].
    """

    stored_bytes: float
    write_bytes_per_s: float
    read_bytes_per_s: float
    checkpoint_mode: CheckpointMode = "sync"
    interval_s: float = 0.0
    snapshot_s: float = 5.0
    memory_interval_s: float = 0.0
    memory_snapshot_s: float = 1.0
    memory_load_s: float = 10.0

    def __post_init__(self) -> None:
        where = "checkpoints"
        check_word(where, "checkpoint_mode", self.checkpoint_mode, get_args(CheckpointMode))
        check_number(where, "stored_bytes", self.stored_bytes, 0, 1e21, above=True)
        check_number(where, "write_bytes_per_s", self.write_bytes_per_s, 0, 1e18, above=True)
        check_number(where, "read_bytes_per_s", self.read_bytes_per_s, 0, 1e18, above=True)
        check_number(where, "interval_s", self.interval_s, 0)
        check_number(where, "snapshot_s", self.snapshot_s, 0)
        check_number(where, "memory_interval_s", self.memory_interval_s, 0)
        check_number(where, "memory_snapshot_s", self.memory_snapshot_s, 0)
        check_number(where, "memory_load_s", self.memory_load_s, 0)

    @property
    def write_s(self) -> float:
        """Time to write a checkpoint to storage [s]."""
        return self.stored_bytes / self.write_bytes_per_s

    @property
    def stall_s(self) -> float:
        """Time that the job waits for a checkpoint on storage [s]."""
        return self.write_s if self.checkpoint_mode == "sync" else self.snapshot_s

    @property
    def load_s(self) -> float:
        """Time to read a checkpoint from storage [s]."""
        return self.stored_bytes / self.read_bytes_per_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovery:
    """What happens between a failure and the next step.

    Attributes
    ----------
    detection_s
        Mean time until a failure is noticed and its part found [s].
    detection_spread
        ``constant``, or ``exponential`` around that mean.
    restart_s
        Scheduling and starting all processes anew, without loading the checkpoint [s].
    manual_share, manual_s
        Share of failures that a person has to look into, and the time that this takes on top [s].
    spare_hosts
        Hosts that stand by; None: one is always there.
    elastic_replicas
        Data-parallel replicas, of which the job can go on with fewer where spares are lacking; 0: it waits.
    maintenance_per_day
        Planned interruptions a day, each after a checkpoint.
    maintenance_s
        Length of one of them, without the restart [s].
    """

    detection_s: float = 300.0
    detection_spread: Spread = "exponential"
    restart_s: float = 300.0
    manual_share: float = 0.0
    manual_s: float = 4 * 3600.0
    spare_hosts: int | None = None
    elastic_replicas: int = 0
    maintenance_per_day: float = 0.0
    maintenance_s: float = 0.0

    def __post_init__(self) -> None:
        where = "recovery"
        check_word(where, "detection_spread", self.detection_spread, get_args(Spread))
        for name in ("detection_s", "restart_s", "manual_s", "maintenance_s"):
            check_number(where, name, getattr(self, name), 0)
        check_number(where, "manual_share", self.manual_share, 0, 1)
        if self.spare_hosts is not None:
            check_number(where, "spare_hosts", self.spare_hosts, 0, MOST_PARTS, whole=True)
        check_number(where, "elastic_replicas", self.elastic_replicas, 0, MOST_PARTS, whole=True)
        check_number(where, "maintenance_per_day", self.maintenance_per_day, 0, 1e6)


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultRun:
    """A training run under faults, as it is simulated.

    Attributes
    ----------
    name
        Of the preset, or model and cluster.
    hosts, cards
        Machines that the job keeps busy, and the cards in them.
    duration_s
        Wall-clock time that is simulated [s].
    causes
        What fails.
    checkpointing, recovery
        What is saved; what happens after a failure.
    stragglers
        What turns slow; None: nothing.
    cards_usd_per_s
        What all cards cost a second [USD/s]; 0: unknown.
    assumptions
        What nobody measured, in words.
    """

    name: str
    hosts: int
    cards: int
    duration_s: float
    causes: tuple[FaultCause, ...]
    checkpointing: Checkpointing
    recovery: Recovery
    stragglers: Stragglers | None = None
    cards_usd_per_s: float = 0.0
    assumptions: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_number("run", "hosts", self.hosts, 1, MOST_PARTS, whole=True)
        check_number("run", "cards", self.cards, 1, MOST_PARTS, whole=True)
        check_number("run", "duration_s", self.duration_s, 0, above=True)
        check_number("run", "cards_usd_per_s", self.cards_usd_per_s, 0)
        names = [cause.name for cause in self.causes]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise InvalidInput(f"run: two causes are named {twice!r}; name each differently")
        if not names:
            raise InvalidInput("run: nothing fails; give at least one cause")
        if self.recovery.elastic_replicas > self.hosts:
            raise InvalidInput(
                f"recovery: elastic_replicas must be at most the {self.hosts:,} hosts: "
                "a replica lives on whole hosts"
            )
