"""What the view of faults asks: the run, what fails, how it recovers, what is saved, how much is tried."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Final, get_args

from farthing import api
from farthing.records.fault_run import CheckpointMode, Lifetime, Spread
from farthing.units import DAY
from farthing.web.asks import Ask
from farthing.web.kinds import Kind, cluster, count, name, number, seconds, size, word

MOST_RUNS: Final = 5000
"""More take a page too long; the command takes a million."""

_Row = tuple[str, str, str, Kind, str | None, str]
"""Name, title, text, kind, option where it is not the name, and default in words."""

_DAYS: Final = dataclasses.replace(seconds(36_500 * DAY), command=lambda value: f"{value / DAY:.15g}")
"""A time that the command takes as a number of days."""

_TIME: Final = seconds()
_SPAN: Final = seconds(zero=True)
_AS_LLAMA: Final = "the preset's, or LLaMA 3's"

_SECTIONS: Final[dict[str, tuple[_Row, ...]]] = {
    "": (
        (
            "preset",
            "Published run",
            "A run whose failures were published; what else is given changes it.",
            word(api.fault_presets()),
            "",
            "none",
        ),
        (
            "model",
            "Model",
            "What is trained: it says how large a checkpoint is.",
            name("models"),
            None,
            "the preset's",
        ),
        (
            "cluster",
            "Cluster",
            "Hosts x cards, the accelerator, and the network; by default the preset's.",
            cluster(),
            "--on",
            "the preset's",
        ),
        (
            "duration_s",
            "Simulated time",
            "Wall-clock time, e.g. 54d.",
            _DAYS,
            "--days",
            "the preset's, or 30d",
        ),
        (
            "work_s",
            "To finish",
            "Ideal training time of the work to finish.",
            _DAYS,
            "--work-days",
            "as simulated",
        ),
        (
            "runs",
            "Runs",
            f"Simulated runs, at most {MOST_RUNS:,} here.",
            count(1, MOST_RUNS),
            None,
            "2000",
        ),
        ("seed", "Seed", "The same seed gives the same runs.", count(0), None, "0"),
    ),
    "Failures": (
        ("card_mtbf_s", "Life of a card", "Mean, e.g. 30d.", _TIME, "--card-mtbf", _AS_LLAMA),
        ("host_mtbf_s", "Of a host", "Without its cards.", _TIME, "--host-mtbf", _AS_LLAMA),
        (
            "rack_mtbf_s",
            "Of a rack",
            "Switch, power, cooling: all its hosts go.",
            _TIME,
            "--rack-mtbf",
            "the preset's, or never",
        ),
        (
            "link_mtbf_s",
            "Of a link",
            "NIC, cable and switch port of a card.",
            _TIME,
            "--link-mtbf",
            _AS_LLAMA,
        ),
        (
            "job_mtbf_s",
            "Of the software",
            "Mean time between failures of the job's.",
            _TIME,
            "--job-mtbf",
            _AS_LLAMA,
        ),
        (
            "failure_factor",
            "Failure factor",
            "All fail so often more.",
            number(0, 1e6, positive=True),
            None,
            "1",
        ),
        (
            "lifetime",
            "Lifetime",
            "Distribution of the life of hardware.",
            word(get_args(Lifetime)),
            None,
            "exponential",
        ),
        ("shape", "Weibull shape", "Below 1 young parts fail more often.", number(0.3, 20), None, "1"),
        ("age_s", "Age", "Of all hardware at the start.", _SPAN, "--age", "new"),
        (
            "early_failures",
            "Early failures",
            "Bathtub: of a new part in its first 30 days.",
            number(0, 1),
            None,
            "0",
        ),
        ("wear_s", "Wear", "Bathtub: age at which it has failed 63%.", _TIME, "--wear", "never"),
        (
            "repair_s",
            "Repair",
            "Until a host that failed is a spare.",
            _SPAN,
            "--repair",
            "the preset's, or 24h",
        ),
        (
            "followed_share",
            "Followed",
            "Share of hardware failures that another follows.",
            number(0, 0.9),
            None,
            "0",
        ),
        ("follow_s", "Follows after", "Mean time until it does.", _TIME, "--follow", "10min"),
        ("hosts_per_rack", "Hosts a rack", "That share a switch and power.", count(), None, "the preset's"),
    ),
    "Slow parts": (
        (
            "straggler_mtbf_s",
            "Turns slow",
            "Mean time until one card does.",
            _TIME,
            "--straggler-mtbf",
            "never",
        ),
        ("slowdown", "Slowdown", "Time of a step with it over that without.", number(1, 1000), None, "1.2"),
        ("notice_s", "Noticed after", "Mean time until it is replaced.", _TIME, "--notice", "6h"),
    ),
    "Recovery": (
        (
            "detection_s",
            "Detection",
            "Mean time until a failure is found.",
            _SPAN,
            "--detection",
            "the preset's, or 5min",
        ),
        ("detection_spread", "Its spread", "Around that mean.", word(get_args(Spread)), None, "exponential"),
        (
            "restart_s",
            "Restart",
            "Of all processes, without loading.",
            _SPAN,
            "--restart",
            "the preset's, or 5min",
        ),
        (
            "manual_share",
            "Manual",
            "Share of failures that a person looks into.",
            number(0, 1),
            None,
            "the preset's, or 0",
        ),
        ("manual_s", "Manual takes", "Time that this takes on top.", _SPAN, "--manual", "4h"),
        ("spare_hosts", "Spare hosts", "Hosts that stand by.", count(0), "--spares", "always one there"),
        (
            "elastic_replicas",
            "Elastic replicas",
            "Of which it goes on with fewer.",
            count(),
            None,
            "it waits",
        ),
        (
            "maintenance_per_day",
            "Maintenance a day",
            "Planned interruptions.",
            number(0, 1000),
            None,
            "the preset's, or 0",
        ),
        (
            "maintenance_s",
            "Maintenance takes",
            "Without the restart.",
            _SPAN,
            "--maintenance",
            "the preset's, or 0",
        ),
    ),
    "Checkpoints": (
        (
            "checkpoint_mode",
            "Mode",
            "Stops for the write, or for a snapshot.",
            word(get_args(CheckpointMode)),
            None,
            "sync",
        ),
        (
            "interval_s",
            "Interval",
            "Running time between two on storage.",
            _TIME,
            "--interval",
            "Daly's best",
        ),
        ("stored_bytes", "Size", "Of one, e.g. 5.7TB.", size(), "--checkpoint-size", "14 B a parameter"),
        (
            "write_bytes_per_s",
            "Write",
            "Of all hosts together, e.g. 2TB/s.",
            size(rate=True),
            "--write",
            "2 GB/s a host",
        ),
        (
            "host_bytes_per_s",
            "Write, a host",
            "Instead, of each host.",
            size(rate=True),
            "--write-per-host",
            "2 GB/s",
        ),
        ("read_bytes_per_s", "Read", "Of all hosts together.", size(rate=True), "--read", "as they write"),
        ("snapshot_s", "Snapshot", "Stop for an asynchronous one.", _SPAN, "--snapshot", "5s"),
        (
            "memory_interval_s",
            "In memory every",
            "In that of other hosts.",
            _TIME,
            "--memory-interval",
            "never",
        ),
        ("memory_snapshot_s", "Memory snapshot", "Stop for one of these.", _SPAN, "--memory-snapshot", "1s"),
        ("memory_load_s", "Memory load", "Time to load one of these.", _SPAN, "--memory-load", "10s"),
    ),
    "Money": (
        (
            "usd_per_accelerator_hour",
            "Rent of a card",
            "Your rent [USD/hour]; 0 leaves money out.",
            number(0, 1e6),
            None,
            "the catalogue's",
        ),
    ),
}


def _asks() -> Iterator[Ask]:
    for section, rows in _SECTIONS.items():
        for field, title, text, kind, option, default in rows:
            yield Ask(
                name=field, title=title, text=text, kind=kind, flag=option, default=default, section=section
            )


ASKS: Final = tuple(_asks())
