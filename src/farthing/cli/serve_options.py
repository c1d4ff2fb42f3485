"""The options of ``farthing simulate serve``, in the sections of its help."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final, get_args

import click

from farthing.cli.options import (
    LAST,
    Count,
    CountList,
    Duration,
    Name,
    Number,
    Word,
    complete_engine,
    complete_format,
    field_option,
    joined,
    option,
)
from farthing.errors import InvalidInput
from farthing.records.lengths_text import parse_lengths
from farthing.records.plan import InferencePlan
from farthing.records.serving import (
    MOST_REQUESTS,
    Arrivals,
    Front,
    Lengths,
    Objectives,
    Preemption,
    Routing,
    Traffic,
)
from farthing.records.workload import InferenceWorkload

_PLAN: Final = "Plan (sizes that are left out follow from the cluster, which is filled with replicas)"
_APART: Final = "Disaggregated plan (some workers read prompts, others write answers)"
_TRAFFIC: Final = "Traffic (one of --rate, --users, --trace and --find-rate)"
_SCHEDULER: Final = "Scheduler (what is left out is the engine's default)"
_FRONT: Final = "Front"
_OBJECTIVES: Final = "Objectives"
_SEARCH: Final = "Search"


class LengthsType(click.ParamType[Lengths]):
    """Tokens: a number, ``lognormal:MEAN:VARIATION[:MOST]`` or ``uniform:MEAN:HALFWIDTH[:MOST]``."""

    name = "tokens"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Lengths:
        """The lengths of a text."""
        if isinstance(value, Lengths):
            return value
        try:
            return parse_lengths(value)
        except InvalidInput as error:
            self.fail(str(error), param, ctx)


class Shares(click.ParamType[tuple[float, ...]]):
    """Numbers with commas."""

    name = "shares"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[float, ...]:
        """The numbers of a text."""
        if isinstance(value, tuple):
            return value
        return tuple(Number(0, 1e9).convert(part, param, ctx) for part in value.split(","))


def _fields(section: str, record: type, *rows: tuple[str, tuple[str, ...], Any, str]) -> Any:
    """Options of a record's fields: field, spellings, kind of value, help."""
    return joined(
        *(
            field_option(section, record, field, *names, type=kind, text=text)
            for field, names, kind, text in rows
        )
    )


def _flags(section: str, record: type, *rows: tuple[str, str]) -> Any:
    """Options of a record's switches: field, help."""

    def spelled(field: str) -> str:
        name = field.replace("_", "-")
        return f"--{name}/--no-{name}"

    return joined(*(field_option(section, record, field, spelled(field), text=text) for field, text in rows))


def plan_options(function: Any) -> Any:
    """Fields of `InferencePlan`, and those of the workload that are no sizes."""
    plan, load = InferencePlan, InferenceWorkload
    formats = (
        ("weight_format", ("--weights", "--weight-format"), "Number format of the weights, e.g. fp8."),
        ("kv_format", ("--kv", "--kv-format"), "Number format of the KV cache."),
        ("compute_format", ("--compute-format",), "Number format of the matrix products."),
        ("dense_format", ("--dense-format",), "Number format of all weights but the routed experts'."),
    )
    return joined(
        *(
            option(_PLAN, field, f"--{field.replace('_', '-')}", type=kind, help=text)
            for field, kind, text in (
                ("tp", Count(), "Tensor parallel size."),
                ("pp", Count(), "Pipeline stages."),
                ("dp", Count(), "Replicas; with --ep, attention goes by replica and experts over all."),
                ("ep", Count(), "Expert parallel size."),
                ("micro_batches", Count(0), "Batches in flight in the pipeline; 0: one a stage."),
            )
        ),
        option(
            _PLAN,
            "stage_layers",
            "--stage-layers",
            type=CountList(),
            metavar="N,N,...",
            help="Layers of each pipeline stage.  [default: even]",
        ),
        *(
            option(
                _PLAN, field, *names, type=Name(), shell_complete=complete_format, metavar="FORMAT", help=text
            )
            for field, names, text in formats
        ),
        option(
            _PLAN,
            "engine",
            "--engine",
            type=Name(),
            shell_complete=complete_engine,
            metavar="ENGINE",
            help="Engine whose overheads, limits and scheduler count.  [default: the usual one]",
        ),
        _fields(
            _PLAN,
            plan,
            (
                "overlap_communication",
                ("--overlap-communication",),
                Number(0, 1),
                "Share of the tensor-parallel traffic hidden under compute.",
            ),
        ),
        _fields(
            _PLAN,
            load,
            ("draft_tokens", ("--draft-tokens",), Count(0), "Tokens that a draft model proposes a pass."),
            (
                "acceptance_rate",
                ("--acceptance-rate",),
                Number(0, 1),
                "Chance that a drafted token is accepted.",
            ),
            (
                "draft_cost_share",
                ("--draft-cost-share",),
                Number(),
                "Time of a draft step as a share of the model's.",
            ),
            (
                "routing_spread",
                ("--routing-spread",),
                Number(),
                "Unevenness of the experts' popularity; 0 is even.",
            ),
        ),
        *(
            option(
                _APART,
                side,
                f"--{side}",
                metavar="FIELD=VALUE,...",
                help=f"Split of the workers that {what}, e.g. tp=2,dp=2; dp counts them.",
            )
            for side, what in (("prefill", "read prompts"), ("decode", "write answers"))
        ),
        *(
            option(
                _APART,
                f"{side}_pool",
                f"--{side}-pool",
                metavar="HOSTSxCARDS[:ACCELERATOR]",
                help=f"Their cards, e.g. 1x4.  [default: what --{side} needs]",
            )
            for side in ("prefill", "decode")
        ),
    )(function)


def traffic_options(function: Any) -> Any:
    """Fields of `Traffic`, and the trace."""
    return joined(
        _fields(
            _TRAFFIC,
            Traffic,
            (
                "requests_per_s",
                ("--rate", "--requests-per-s"),
                Number(0, 1e9, positive=True),
                "Requests a second, on average; stretches or squeezes a trace.",
            ),
            (
                "users",
                ("--users",),
                Count(1, 10_000_000),
                "People who each wait for the answer before they ask again.",
            ),
            (
                "think_s",
                ("--think",),
                Duration(),
                "Mean pause of a user between answer and question, e.g. 20s.",
            ),
        ),
        option(
            _TRAFFIC,
            "trace",
            "--trace",
            type=click.Path(path_type=Path),
            metavar="FILE",
            help="Recorded requests: CSV or JSON lines, also .gz; Azure, Mooncake, Qwen-Bailian and BurstGPT "
            "layouts are recognised.",
        ),
        option(
            _TRAFFIC,
            "trace_columns",
            "--trace-columns",
            metavar="FIELD=COLUMN,...",
            help="Columns of another layout, e.g. arrival=time:ms,prompt=in,output=out.",
        ),
        option(
            _TRAFFIC,
            "requests",
            "--requests",
            type=Count(1, MOST_REQUESTS),
            help="Where the load ends.  [default: 10,000, or with --duration or the trace]",
        ),
        option(
            _TRAFFIC,
            "duration_s",
            "--duration",
            type=Duration(),
            help="Where the load ends in time, e.g. 1h.",
        ),
        option(
            _TRAFFIC,
            "arrivals",
            "--arrivals",
            type=Word(get_args(Arrivals)),
            help="How requests come.  [default: poisson, or what --users, --trace, --burstiness or --swing "
            "say]",
        ),
        _fields(
            _TRAFFIC,
            Traffic,
            (
                "burstiness",
                ("--burstiness",),
                Number(0.01, 100),
                "Of gamma arrivals: variation of the gaps; 1 is Poisson, more is burstier.",
            ),
            ("swing", ("--swing",), Number(0, 1), "Of diurnal arrivals: how far the rate goes up and down."),
        ),
        option(
            _TRAFFIC,
            "day_s",
            "--day",
            type=Duration(),
            help="Of diurnal arrivals: length of the day.  [default: 24h]",
        ),
        *(
            option(
                _TRAFFIC,
                field,
                f"--{field}",
                type=LengthsType(),
                metavar="TOKENS",
                help=f"Tokens of {what}: a number, lognormal:MEAN:VARIATION[:MOST] or "
                "uniform:MEAN:HALFWIDTH.  "
                f"[default: {default}]",
            )
            for field, what, default in (("prompt", "a prompt", 1000), ("output", "an answer", 250))
        ),
        option(
            _TRAFFIC,
            "priorities",
            "--priorities",
            type=Shares(),
            metavar="SHARE,SHARE,...",
            help="Shares of the requests by priority, the most urgent first.",
        ),
        _fields(
            _TRAFFIC,
            Traffic,
            (
                "prefix_groups",
                ("--prefix-groups",),
                Count(0, 10_000_000),
                "Beginnings that prompts have in common.",
            ),
            (
                "prefix_share",
                ("--prefix-share",),
                Number(0, 1),
                "How much of a mean prompt they are; with --prefix-groups.",
            ),
            (
                "cancel_share",
                ("--cancel-share",),
                Number(0, 1),
                "Share of the requests that are abandoned within the answer.",
            ),
        ),
        option(
            _TRAFFIC,
            "seed",
            "--seed",
            type=Count(0, 2**63 - 1),
            help="Of all that is random; the same seed gives the same run.  [default: 0]",
        ),
        option(
            _TRAFFIC,
            "warm_up",
            "--warm-up",
            type=Count(0, MOST_REQUESTS),
            help="Requests at the beginning that count in no latency.",
        ),
    )(function)


def scheduler_options(function: Any) -> Any:
    """Which scheduler, and fields of `Scheduler`."""
    whole: tuple[tuple[str, Any, str], ...] = (
        ("token_budget", Count(1, 10_000_000), "Tokens of one pass, prompts and answers together."),
        ("max_sequences", Count(1, 1_000_000), "Requests in work at a time on one replica."),
        ("block_tokens", Count(1, 65536), "Tokens of a block of the KV cache."),
        (
            "reserved_share",
            Number(0, 1),
            "Share of the answers to come for which a new request leaves room; 1: nobody ever steps back.",
        ),
        ("preemption", Word(get_args(Preemption)), "What becomes of the KV cache of who steps back."),
        ("poll_steps", Count(1, 10_000), "Passes between two looks at the queue."),
    )
    return joined(
        option(
            _SCHEDULER,
            "scheduler",
            "--scheduler",
            type=Name(),
            metavar="ID",
            shell_complete=_complete_scheduler,
            help="How passes are put together: that of an engine, or static.",
        ),
        *(
            option(_SCHEDULER, field, f"--{field.replace('_', '-')}", type=kind, help=text)
            for field, kind, text in whole
        ),
        *(
            option(
                _SCHEDULER,
                field,
                f"--{field.replace('_', '-')}/--no-{field.replace('_', '-')}",
                default=None,
                help=text,
            )
            for field, text in (
                ("mixes", "Read prompts in the passes that write answers; else prompts go first."),
                ("chunks", "Read long prompts in parts."),
                ("prefix_caching", "Keep and share the beginnings of prompts."),
                ("slots", "Cut memory into equal parts, one for each request in work."),
                ("holds_batch", "Static batching: nothing joins until the longest answer is written."),
            )
        ),
        option(
            _SCHEDULER,
            "batch_wait_s",
            "--batch-wait",
            type=Duration(),
            help="Of static batching: how long the first waits for others, e.g. 50ms.",
        ),
    )(function)


def front_options(function: Any) -> Any:
    """Fields of `Front`."""
    return _fields(
        _FRONT,
        Front,
        ("routing", ("--routing",), Word(get_args(Routing)), "Which replica gets a request."),
        (
            "queue_limit",
            ("--queue-limit",),
            Count(0, MOST_REQUESTS),
            "Requests that may wait at a replica; more are rejected.",
        ),
        (
            "queue_timeout_s",
            ("--queue-timeout",),
            Duration(),
            "After which a request that has not begun is given up, e.g. 10s.",
        ),
        (
            "timeout_s",
            ("--timeout",),
            Duration(),
            "After which a request that is not answered is given up, e.g. 2min.",
        ),
    )(function)


def objective_options(function: Any) -> Any:
    """Fields of `Objectives`, and the searches for what keeps them."""
    return joined(
        _fields(
            _OBJECTIVES,
            Objectives,
            ("ttft_s", ("--ttft",), Duration(), "Most time to the first token, e.g. 1s."),
            ("tpot_s", ("--tpot",), Duration(), "Most time between tokens, on average, e.g. 50ms."),
            ("e2e_s", ("--e2e",), Duration(), "Most time to the whole answer, e.g. 20s."),
            ("share", ("--share",), Number(0.01, 1), "Share of the requests that must keep all of these."),
        ),
        option(
            _SEARCH,
            "find_rate",
            "--find-rate",
            is_flag=True,
            help="Find the highest rate that keeps the objectives.",
        ),
        option(
            _SEARCH,
            "size",
            "--size",
            is_flag=True,
            help="Find the fewest replicas that keep the objectives at --rate, even more than the cluster "
            "has.",
        ),
    )(function)


def file_options(function: Any) -> Any:
    """Files that are written while the run goes on."""
    return joined(
        option(LAST, "--ideal", is_flag=True, help="Paper arithmetic: every efficiency is 1."),
        option(
            LAST,
            "requests_out",
            "--requests-out",
            type=click.Path(path_type=Path),
            metavar="FILE.csv",
            help="A row for each request as it ends; .csv or .csv.gz.",
        ),
        option(
            LAST,
            "force",
            "--force",
            is_flag=True,
            help="Replace the file of --requests-out where it is there already.",
        ),
        option(
            LAST,
            "perfetto",
            "--perfetto",
            type=click.Path(path_type=Path),
            metavar="FILE.json",
            help="Every pass and request as a trace for https://ui.perfetto.dev; .json or .json.gz.",
        ),
        option(
            LAST,
            "perfetto_from",
            "--perfetto-from",
            type=Duration(),
            help="Where the trace begins in the simulated time, e.g. 10min.  [default: the beginning]",
        ),
        option(
            LAST,
            "perfetto_for",
            "--perfetto-for",
            type=Duration(),
            help="How much of the simulated time it tells.  [default: 60s]",
        ),
    )(function)


def _complete_scheduler(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[Any]:
    from click.shell_completion import CompletionItem

    from farthing import catalog

    return [CompletionItem(id) for id in catalog.schedulers() if id.startswith(incomplete.lower())]
