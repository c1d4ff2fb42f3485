"""A training run whose failures were published."""

from __future__ import annotations

from dataclasses import dataclass

from farthing.errors import InvalidInput
from farthing.records.fault_run import CheckpointMode, Spread, Strikes, check_number, check_word


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedCause:
    """Failures of one cause, as they were counted or stated.

    Attributes
    ----------
    name, strikes, hosts_out, repair_s
        As in `FaultCause`; ``hosts_out`` of -1 is the usual one of what is struck, ``repair_s`` of 0 that
        of the preset.
    events
        So many were counted in the preset's time; 0 where the mean life is stated.
    part_mtbf_s
        Mean life of one part [s], where that is stated.
    """

    name: str
    strikes: Strikes
    events: float = 0.0
    part_mtbf_s: float = 0.0
    hosts_out: int = -1
    repair_s: float = 0.0

    def __post_init__(self) -> None:
        where = f"cause {self.name!r}"
        check_word(where, "strikes", self.strikes, ("card", "host", "rack", "link", "job"))
        check_number(where, "events", self.events, 0)
        check_number(where, "part_mtbf_s", self.part_mtbf_s, 0)
        if bool(self.events) == bool(self.part_mtbf_s):
            raise InvalidInput(f"{where}: give events or part_mtbf_s, one of them")


@dataclass(frozen=True, slots=True, kw_only=True)
class Assumption:
    """What nobody published of a run.

    Attributes
    ----------
    about
        Fields of the question that it fills; a question that gives one of them needs it no more.
    words
        What is assumed, and why.
    """

    about: tuple[str, ...]
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultPreset:
    """A training run whose failures were published; what was not is assumed, and says so.

    Attributes
    ----------
    id, name, source
        Its id, what it is, and the key of the bibliography.
    model, cluster
        Ids of the model, and the cluster as a user writes it.
    hosts_per_rack
        Hosts that share a switch and power.
    duration_s
        Time in which failures were counted [s].
    causes
        What failed.
    planned_events
        Planned interruptions in that time.
    maintenance_s
        Length of one of them, without the restart [s].
    manual_events
        Failures of that time that a person had to look into.
    detection_s, detection_spread, restart_s, manual_s, repair_s
        As in `Recovery` and `FaultCause` [s].
    checkpoint_mode, write_bytes_per_s, read_bytes_per_s
        As in `Checkpointing`; rates of 0 are the usual ones of the hosts [byte/s].
    published
        What was published of the result, in words.
    published_goodput
        Its lower bound; 0 where there is none.
    assumptions
        What was not published.
    """

    id: str
    name: str
    source: str
    model: str
    cluster: str
    duration_s: float
    causes: tuple[PublishedCause, ...]
    hosts_per_rack: int = 2
    planned_events: float = 0.0
    maintenance_s: float = 0.0
    detection_s: float = 300.0
    detection_spread: Spread = "exponential"
    restart_s: float = 300.0
    manual_events: float = 0.0
    manual_s: float = 0.0
    repair_s: float = 86400.0
    checkpoint_mode: CheckpointMode = "sync"
    write_bytes_per_s: float = 0.0
    read_bytes_per_s: float = 0.0
    published: str = ""
    published_goodput: float = 0.0
    assumptions: tuple[Assumption, ...] = ()

    def __post_init__(self) -> None:
        where = f"preset {self.id!r}"
        check_number(where, "duration_s", self.duration_s, 0, above=True)
        check_number(where, "hosts_per_rack", self.hosts_per_rack, 1, whole=True)
        check_number(where, "manual_events", self.manual_events, 0)
        check_number(where, "published_goodput", self.published_goodput, 0, 1)
        if not self.causes:
            raise InvalidInput(f"{where}: nothing fails; add a cause")
