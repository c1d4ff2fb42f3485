"""The options of ``farthing simulate faults``: sections of the help, times that may be 0, sizes and rates."""

from __future__ import annotations

from typing import Any, Final, get_args

import click
from click.shell_completion import CompletionItem

from farthing.cli.options import (
    Count,
    Duration,
    Name,
    Number,
    Word,
    complete_cluster,
    complete_model,
    field_option,
    joined,
    option,
)
from farthing.errors import InvalidInput
from farthing.records.fault_rates import FaultRates
from farthing.records.fault_run import (
    Checkpointing,
    CheckpointMode,
    Lifetime,
    Recovery,
    Spread,
    Stragglers,
)
from farthing.units import parse_bytes

_RUN: Final = "Run"
_FAILURES: Final = "Failures"
_SLOW: Final = "Slow parts"
_RECOVERY: Final = "Recovery"
_CHECKPOINTS: Final = "Checkpoints"
_SIMULATION: Final = "Simulation"

MOST_RUNS: Final = 1_000_000


class Span(Duration):
    """A time such as ``5min``, that may be 0."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Seconds."""
        if isinstance(value, str) and value.strip().lower() in ("0", "0s", "0min", "0h", "0d"):
            return 0.0
        return super().convert(value, param, ctx)


class Size(click.ParamType[float]):
    """A size such as ``5.7TB``, or a rate such as ``2TB/s``."""

    name = "size"

    def __init__(self, rate: bool = False) -> None:
        self.rate = rate
        self.name = "rate" if rate else "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Bytes, or bytes a second."""
        if isinstance(value, float):
            return value
        text = str(value).strip()
        bare = text.lower().removesuffix("/s")
        example = "2TB/s" if self.rate else "5.7TB"
        try:
            number = parse_bytes(bare)
        except InvalidInput:
            number = -1.0
        if number < 0 or (not self.rate and bare != text.lower()) or bare[-1:].isdigit():
            self.fail(f"{text[:40]!r} is not a {self.name}; write it like {example}", param, ctx)
        if not 0 < number <= 1e18:
            self.fail(f"{text[:40]!r} is out of range: give more than 0, e.g. {example}", param, ctx)
        return number


def complete_preset(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Ids of presets."""
    from farthing.catalog.fault_presets import fault_presets

    return [CompletionItem(id) for id in fault_presets() if id.startswith(incomplete.lower())]


def run_options(function: Any) -> Any:
    """What is simulated."""
    return joined(
        click.argument("preset", default="", shell_complete=complete_preset),
        option(
            _RUN,
            "model",
            "--model",
            type=Name(),
            shell_complete=complete_model,
            help="What is trained: it says how large a checkpoint is.  [default: the preset's]",
        ),
        option(
            _RUN,
            "cluster",
            "--on",
            "--cluster",
            metavar="CLUSTER",
            shell_complete=complete_cluster,
            help="HOSTSxCARDS:ACCELERATOR@NETWORK such as 2048x8:h100-sxm@ib-ndr.  [default: the preset's]",
        ),
        option(
            _RUN,
            "days",
            "--days",
            type=Number(0, 36500, positive=True),
            help="Wall-clock time.  [default: the preset's, or 30]",
        ),
        option(
            _RUN,
            "work_days",
            "--work-days",
            type=Number(0, 36500, positive=True),
            help="Ideal training time of the work whose end is looked for.  [default: as --days]",
        ),
    )(function)


def failure_options(function: Any) -> Any:
    """How often parts fail."""
    mtbf = (
        ("card_mtbf_s", "--card-mtbf", "Mean life of one card, e.g. 30d."),
        ("host_mtbf_s", "--host-mtbf", "Of one host, without its cards."),
        ("rack_mtbf_s", "--rack-mtbf", "Of one rack's switch, power and cooling: all its hosts go at once."),
        ("link_mtbf_s", "--link-mtbf", "Of the NIC, cable and switch port of one card."),
        ("job_mtbf_s", "--job-mtbf", "Mean time between failures of the whole job's software."),
    )
    fields: tuple[tuple[str, str, click.ParamType[Any], str], ...] = (
        ("failure_factor", "--failure-factor", Number(0, 1e6, positive=True), "All fail so often more."),
        ("lifetime", "--lifetime", Word(get_args(Lifetime)), "Distribution of the life of hardware."),
        ("shape", "--shape", Number(0.3, 20), "Of --lifetime weibull: below 1 young parts fail more often."),
        ("age_s", "--age", Span(), "Of all hardware at the start.  [default: new]"),
        (
            "early_failures",
            "--early-failures",
            Number(0, 1),
            "Of --lifetime bathtub: failures of a new part that come on top in its first 30 days, e.g. 0.02.",
        ),
        ("wear_s", "--wear", Duration(), "Of --lifetime bathtub: age at which wear has failed 63%."),
        (
            "repair_s",
            "--repair",
            Span(),
            "Until a host that failed is a spare.  [default: the preset's, or 24h]",
        ),
        (
            "followed_share",
            "--followed-share",
            Number(0, 0.9),
            "Share of hardware failures that another at the same place follows.",
        ),
        ("follow_s", "--follow", Duration(), "Mean time until it does.  [default: 10min]"),
        ("hosts_per_rack", "--hosts-per-rack", Count(), "Hosts that share a switch and power."),
    )
    plain = ("age_s", "wear_s", "repair_s", "follow_s")
    return joined(
        *(
            option(
                _FAILURES,
                field,
                name,
                type=Duration(),
                help=f"{text}  [default: the preset's, or as of LLaMA 3's run]"
                if field != "rack_mtbf_s"
                else f"{text}  [default: the preset's, or never]",
            )
            for field, name, text in mtbf
        ),
        *(
            option(_FAILURES, field, name, type=kind, help=text)
            if field in plain
            else field_option(_FAILURES, FaultRates, field, name, type=kind, text=text)
            for field, name, kind, text in fields
        ),
    )(function)


def slow_options(function: Any) -> Any:
    """Parts that turn slow."""
    return joined(
        option(
            _SLOW,
            "straggler_mtbf_s",
            "--straggler-mtbf",
            type=Duration(),
            help="Mean time until one card turns slow.  [default: never]",
        ),
        field_option(
            _SLOW,
            Stragglers,
            "slowdown",
            "--slowdown",
            type=Number(1, 1000),
            text="Time of a step with a slow card over that without.",
        ),
        option(
            _SLOW,
            "notice_s",
            "--notice",
            type=Duration(),
            help="Mean time until a slow card is noticed and replaced.  [default: 6h]",
        ),
    )(function)


def recovery_options(function: Any) -> Any:
    """What happens after a failure."""
    return joined(
        option(
            _RECOVERY,
            "detection_s",
            "--detection",
            type=Span(),
            help="Mean time until a failure is noticed and found.  [default: the preset's, or 5min]",
        ),
        option(
            _RECOVERY,
            "detection_spread",
            "--detection-spread",
            type=Word(get_args(Spread)),
            help="Around that mean.  [default: the preset's, or exponential]",
        ),
        option(
            _RECOVERY,
            "restart_s",
            "--restart",
            type=Span(),
            help="Scheduling and start of all processes; loading the checkpoint comes on top.  [default: the "
            "preset's, or 5min]",
        ),
        option(
            _RECOVERY,
            "manual_share",
            "--manual-share",
            type=Number(0, 1),
            help="Share of failures that a person has to look into.  [default: the preset's, or 0]",
        ),
        option(
            _RECOVERY,
            "manual_s",
            "--manual",
            type=Span(),
            help="Time that this takes on top.  [default: 4h]",
        ),
        option(
            _RECOVERY,
            "spare_hosts",
            "--spares",
            type=Count(0),
            help="Hosts that stand by.  [default: always one there]",
        ),
        field_option(
            _RECOVERY,
            Recovery,
            "elastic_replicas",
            "--elastic-replicas",
            type=Count(),
            text="Data-parallel replicas, of which the job goes on with fewer where spares lack.  "
            "[default: it waits]",
        ),
        option(
            _RECOVERY,
            "maintenance_per_day",
            "--maintenance-per-day",
            type=Number(0, 1000),
            help="Planned interruptions a day, each after a checkpoint.  [default: the preset's, or 0]",
        ),
        option(
            _RECOVERY,
            "maintenance_s",
            "--maintenance",
            type=Span(),
            help="Length of one, without the restart.  [default: the preset's, or 0]",
        ),
    )(function)


def checkpoint_options(function: Any) -> Any:
    """What is saved."""
    return joined(
        option(
            _CHECKPOINTS,
            "checkpoint_mode",
            "--checkpoint-mode",
            type=Word(get_args(CheckpointMode)),
            help="Whether the job stops for the whole write, or for a snapshot.  [default: sync]",
        ),
        option(
            _CHECKPOINTS,
            "interval_s",
            "--interval",
            type=Duration(),
            help="Running time between two on storage.  [default: Daly's best; at most 3h beside copies in "
            "memory]",
        ),
        option(
            _CHECKPOINTS,
            "stored_bytes",
            "--checkpoint-size",
            type=Size(),
            help="Of one.  [default: 14 bytes for each parameter]",
        ),
        option(
            _CHECKPOINTS,
            "write_bytes_per_s",
            "--write",
            type=Size(rate=True),
            help="Rate at which all hosts together write, e.g. 2TB/s.  [default: 2 GB/s for each host]",
        ),
        option(
            _CHECKPOINTS,
            "host_bytes_per_s",
            "--write-per-host",
            type=Size(rate=True),
            help="The same of each host, instead of --write.",
        ),
        option(
            _CHECKPOINTS,
            "read_bytes_per_s",
            "--read",
            type=Size(rate=True),
            help="Rate at which they read together.  [default: as they write]",
        ),
        option(
            _CHECKPOINTS,
            "snapshot_s",
            "--snapshot",
            type=Span(),
            help="Time that the job stops for an asynchronous one.  [default: 5s]",
        ),
        option(
            _CHECKPOINTS,
            "memory_interval_s",
            "--memory-interval",
            type=Duration(),
            help="Time between two in the memory of other hosts.  [default: none]",
        ),
        field_option(
            _CHECKPOINTS,
            Checkpointing,
            "memory_snapshot_s",
            "--memory-snapshot",
            type=Span(),
            text="Time that the job stops for one of them [s].",
        ),
        field_option(
            _CHECKPOINTS,
            Checkpointing,
            "memory_load_s",
            "--memory-load",
            type=Span(),
            text="Time to load one of them at a restart [s].",
        ),
        option(
            "Cost",
            "usd_per_accelerator_hour",
            "--usd-per-accelerator-hour",
            type=Number(0, 1e6),
            help="Your rent of a card [USD/hour]; 0 leaves money out.  [default: the catalogue's]",
        ),
    )(function)


def simulation_options(function: Any) -> Any:
    """How many runs, and which."""
    return joined(
        option(
            _SIMULATION, "runs", "--runs", type=Count(1, MOST_RUNS), help="Simulated runs.  [default: 2000]"
        ),
        option(
            _SIMULATION,
            "seed",
            "--seed",
            type=Count(0),
            help="The same seed gives the same runs.  [default: 0]",
        ),
    )(function)
