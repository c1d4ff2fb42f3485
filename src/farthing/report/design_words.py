"""A design in words and tables: what was asked, builds beside each other, and each with its bill."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from farthing.records.design import BillRow, Build, DesignResult
from farthing.records.estimate import InferenceEstimate, TrainingEstimate
from farthing.records.plan import InferencePlan, TrainingPlan
from farthing.report import layout
from farthing.report.estimate import split
from farthing.report.prices import STALE
from farthing.units import HOUR, format_quantity, format_seconds, format_usd

GOALS: Final = {
    "usd": "the cheapest tokens",
    "capital": "the least capital",
    "power": "the least power",
    "tpot": "the shortest time a token",
    "ttft": "the earliest first token",
    "tokens-per-s": "the most tokens a second",
    "run": "the shortest run",
}

GIVEN: Final = "given by you"

KINDS: Final = {"purchase": "new", "used": "used", "launch": "at launch", "rental": "rent"}
"""Kinds of prices in words."""

Table = tuple[tuple[str, ...], Sequence[tuple[str, ...]]]
"""A header and rows of cells."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A figure that builds are compared in: its name, its value in SI units, and that in words."""

    name: str
    of: Callable[[Build], float]
    unit: str
    words: Callable[[float], str]


def goal(result: DesignResult) -> str:
    """What the best build is best in."""
    training = result.task == "training"
    return "the cheapest run" if training and result.objective == "usd" else GOALS[result.objective]


def job(result: DesignResult) -> str:
    """What a build must do."""
    demand, limits = result.demand, result.limits
    words = []
    if demand.tokens_per_s:
        words.append(f"{demand.tokens_per_s:,.4g} tokens/s")
    if demand.trough_share < 1:
        words.append(f"{layout.percent(demand.trough_share)} of it in the quietest hour")
    if limits.ttft_s:
        words.append(f"first token within {format_seconds(limits.ttft_s)}")
    if limits.tpot_s:
        words.append(f"{format_seconds(limits.tpot_s)} a token")
    if limits.run_s:
        words.append(f"within {format_seconds(limits.run_s)}")
    if limits.capital_usd:
        words.append(f"for at most {format_usd(limits.capital_usd)}")
    if limits.usd_per_s:
        words.append(f"{format_usd(limits.usd_per_s * HOUR)} an hour at most")
    if limits.usd_per_million_tokens:
        words.append(f"{format_usd(limits.usd_per_million_tokens)} a million tokens at most")
    if limits.power_w:
        words.append(f"{format_quantity(limits.power_w, 'W')} at most")
    return ", ".join(words)


def answer(result: DesignResult) -> str:
    """What a hurried reader wants to know, in a sentence or two; without a build, what is nearest."""
    if not result.best:
        return result.miss
    build = result.best[0]
    hosts = f" in {build.hosts:,} hosts" if build.hosts > 1 else ""
    rented = f"Rent {build.accelerators} x {build.accelerator}{hosts}"
    does = rented if build.way == "rent" else f"Buy {build_words(build)}"
    hourly = f"{format_usd(build.usd_per_s * HOUR)} an hour"
    paid = (
        hourly if build.way == "rent" else f"{format_usd(build.capital_usd)}, {hourly} with all that it takes"
    )
    first = f"{does}: {paid}"
    if build.inference:
        return (
            f"{first}, {format_usd(build.usd_per_million_tokens)} a million tokens; "
            f"{_whole(build.tokens_per_s)} tokens/s, {format_seconds(build.tpot_s)} a token."
        )
    return f"{first}; a run takes {format_seconds(build.run_s)} and {format_usd(build.run_usd)}."


def machines(build: Build) -> str:
    """The hosts of a build."""
    if not build.host:
        return f"{build.hosts} rented" if build.hosts > 1 else "rented"
    words = f"{build.hosts} x {build.host}" if build.hosts > 1 else build.host
    # Between the hosts of one copy the network matters.
    return f"{words}, {build.network}" if "@" in build.cluster else words


def build_words(build: Build) -> str:
    """A build in few words."""
    words = f"{build.accelerators} x {build.accelerator}"
    return words + (f" in {machines(build)}" if build.host else f", {machines(build)}")


def formats_told(result: DesignResult) -> tuple[str, ...]:
    """Formats in which builds differ, which a table of them names."""
    plans: list[InferencePlan | TrainingPlan] = [
        found.plan for build in (*result.best, *result.front) if (found := build.inference or build.training)
    ]
    return tuple(
        name
        for name in ("weight_format", "kv_format")
        if len({getattr(plan, name, "") for plan in plans}) > 1
    )


def build_columns(result: DesignResult, builds: Sequence[Build]) -> tuple[Column, ...]:
    """Figures of builds: the usual ones, and those that limits and objectives look at."""
    wanted = {result.objective, *result.front_objectives}
    columns: list[Column] = []

    def add(
        name: str, of: Callable[[Build], float], unit: str, words: Callable[[float], str], blank: bool = False
    ) -> None:
        def told(value: float) -> str:
            return words(value) if value or not blank else ""

        columns.append(Column(name=name, of=of, unit=unit, words=told))

    if result.task == "inference":
        add("tokens/s", lambda build: build.tokens_per_s, "token/s", _whole)
        if result.limits.ttft_s or "ttft" in wanted:
            add("first", lambda build: build.ttft_s, "s", format_seconds)
        add("a token", lambda build: build.tpot_s, "s", format_seconds, blank=True)
    else:
        add("run", lambda build: build.run_s, "s", format_seconds)
        add("USD a run", lambda build: build.run_usd, "USD", lambda value: f"{value:,.0f}")
    if any(build.capital_usd for build in builds):
        add("capital", lambda build: build.capital_usd, "USD", lambda value: f"${value:,.0f}", blank=True)
    if result.limits.power_w or "power" in wanted:
        add("power", lambda build: build.power_w, "W", lambda value: format_quantity(value, "W"))
    add("USD/M", lambda build: build.usd_per_million_tokens, "USD", usd_per_million)
    return tuple(columns)


def build_names(result: DesignResult, build: Build) -> tuple[str, ...]:
    """What a build consists of, as the table of builds names it: cards, hosts, and formats that differ."""
    named = formats_told(result)
    estimate = build.inference or build.training
    formats = ", ".join(getattr(estimate.plan, name, "") for name in named) if estimate else ""
    return (
        f"{build.accelerators} x {build.accelerator}",
        machines(build),
        *((formats,) if named else ()),
    )


def name_columns(result: DesignResult) -> tuple[str, ...]:
    """The header over `build_names`."""
    return ("accelerators", "hosts", *(("format",) if formats_told(result) else ()))


def table_note(result: DesignResult) -> str:
    """What the figures of the table of builds mean."""
    if result.task == "inference":
        return "first, a token: means with all places taken, other users' prompts counted"
    if any(build.way == "own" for build in result.best):
        years = f"{result.ownership.years:g}"
        return (
            "USD a run: what is bought counts for the time of the run, as if such runs filled "
            f"{years} years; one run alone takes the capital"
        )
    return ""


def _whole(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def usd_per_million(usd: float) -> str:
    """Of a million tokens.

    Examples
    --------
    >>> usd_per_million(1.2345), usd_per_million(0.01234)
    ('1.23', '0.012')
    """
    return f"{usd:,.2f}" if usd >= 0.1 else f"{usd:.2g}"


# A build in full -------------------------------------------------------------------------------------------


def build_facts(result: DesignResult, build: Build) -> list[tuple[str, str]]:
    """What is to know of a build beside its price: network, plan, how to look at it closer, power."""
    facts = []
    if build.network:
        nic = f"{build.nics_per_host} x {build.nic} a host" if build.nic else "ports on the boards"
        joined = f"{build.switches} x {build.switch}" if build.switch else "a direct cable"
        facts.append(("network", f"{build.network}: {nic}, {joined}"))
    if build.inference:
        copies = f"{build.copies:,} copies of {_plan(build)}" if build.copies > 1 else _plan(build)
        facts.append(("plan", copies))
        facts.append(("engine", _engine(build.inference)))
        facts.append(
            ("a copy, alone", f"farthing infer {result.model} --on {build.cluster} {_options(build)}")
        )
        facts += _likely(build, build.inference)
    elif build.training:
        facts.append(("a run", f"{format_seconds(build.run_s)} for {format_usd(build.run_usd)}"))
        facts.append(("plan", split(build.training.plan)))
        facts.append(
            (
                "to see it whole",
                f"farthing train {result.model} --on {build.cluster} {_sizes(build.training)}",
            )
        )
    if build.way == "own":
        words = f"{format_quantity(build.power_w, 'W')} at the busiest hour"
        if build.average_power_w < 0.99 * build.power_w:
            words += f", {format_quantity(build.average_power_w, 'W')} on average"
        facts.append(("power", f"{words}, with hosts, network and PUE {result.ownership.pue:g}"))
    return facts


def _plan(build: Build) -> str:
    """How a copy is split."""
    estimate = build.inference or build.training
    assert estimate is not None  # a build does something
    words = split(estimate.plan)
    if isinstance(estimate, InferenceEstimate):
        words += f", batch {estimate.workload.batch_size:,}"
    return words


def _options(build: Build) -> str:
    """What makes ``farthing infer`` take the same plan."""
    assert build.inference is not None
    plan, load = build.inference.plan, build.inference.workload
    sizes = {"tp": plan.tp, "pp": plan.pp, "dp": plan.dp, "ep": plan.ep}
    words = [f"--{name} {size}" for name, size in sizes.items() if size > 1 or name == "tp"]
    words += [
        f"--batch {load.batch_size}",
        f"--prompt {load.prompt_tokens}",
        f"--output {load.output_tokens}",
        f"--weights {plan.weight_format}",
    ]
    return " ".join(words)


def _engine(estimate: InferenceEstimate) -> str:
    """Which software, and whether it was chosen for the user."""
    usual = any(text.startswith("no engine named") for text in estimate.assumptions)
    return estimate.plan.engine + (", the usual one" if usual else "")


def _sizes(estimate: TrainingEstimate) -> str:
    """What makes ``farthing train`` search plans for the same run."""
    load = estimate.workload
    return (
        f"--tokens {load.training_tokens:g} --seq {load.sequence_tokens} "
        f"--global-batch {load.global_batch_size}"
    )


def _likely(build: Build, estimate: InferenceEstimate) -> Iterator[tuple[str, str]]:
    """In which range the throughput will be."""
    bar = next((one for one in estimate.intervals if one.name == "tokens_per_s"), None)
    if bar is None:
        return
    if bar.low is None or bar.high is None:
        yield "not validated", bar.basis
        return
    low, high = (build.tokens_per_s * end / estimate.tokens_per_s for end in (bar.low, bar.high))
    yield "80% interval", f"{low:,.0f} to {high:,.0f} tokens/s; {bar.basis}"


def bill_title(build: Build) -> tuple[str, str]:
    """What a bill is called, and its sum."""
    total = sum(row.quantity * row.usd for row in build.bill)
    if build.way == "rent":
        return "Rent", f"${total:,.2f} an hour"
    return "Bill of materials", f"${total:,.0f}"


def bill_table(build: Build) -> Table:
    """What is bought or rented: kind and date of the price, the part, its price, and that of all."""
    each = "USD/h" if build.way == "rent" else "USD"
    sources = bill_sources(build)
    rows = [
        (
            f"{_kind(row)} {row.date}{STALE if row.stale else ''}",
            f"{row.quantity:,} x {row.name} [{sources.index(row.source) + 1}]",
            f"{row.usd:,.2f}",
            f"{row.quantity * row.usd:,.2f}",
        )
        for row in build.bill
    ]
    return ("price", "", each, "together"), rows


def bill_sources(build: Build) -> list[str]:
    """Where prices are from, in the order of the numbers in `bill_table`."""
    return list(dict.fromkeys(row.source for row in build.bill))


def _kind(row: BillRow) -> str:
    return "yours" if row.source == GIVEN else KINDS[row.kind]


def expense_note(result: DesignResult, build: Build) -> str:
    """What owning a build costs an hour, and over what that is counted."""
    own = result.ownership
    words = [f"over {own.years:g} years"]
    words += [f"interest {own.annual_interest:.1%}"] if own.annual_interest else []
    words += [f"{own.residual_share:.0%} back at a sale"] if own.residual_share else []
    words.append(f"${own.usd_per_kwh:.3g}/kWh")
    words += [f"${own.usd_per_kw_month:,.0f} a kW and month"] if own.usd_per_kw_month else []
    return f"{format_usd(build.usd_per_s * HOUR)} an hour; {', '.join(words)}"


def expense_rows(build: Build) -> list[tuple[str, str, float]]:
    """Parts of what owning costs: name, money an hour, share."""
    return [
        (one.name, f"{format_usd(one.usd_per_s * HOUR)}/h", max(one.share, 0.0)) for one in build.expenses
    ]
