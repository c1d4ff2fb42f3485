"""The report of a design: builds beside each other, one in full with its bill, and what else there is."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from rich.console import Group, RenderableType
from rich.text import Text

from farthing.records.design import BillRow, Build, DesignResult
from farthing.records.estimate import InferenceEstimate, TrainingEstimate
from farthing.records.plan import InferencePlan, TrainingPlan
from farthing.report import layout
from farthing.report.estimate import split
from farthing.report.prices import STALE
from farthing.units import DAY, HOUR, MONTH, format_count, format_quantity, format_seconds, format_usd

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

ALTERNATIVES: Final = 6
"""So many providers are told, the cheapest first."""

LONG: Final = 20 * 12 * MONTH
"""After which nobody waits for hardware to pay for itself."""


def design_report(result: DesignResult, name: str, told: int = 1) -> RenderableType:
    """All that a person wants to read of a design.

    Parameters
    ----------
    result
        What was found.
    name
        Of the model.
    told
        Which of the best builds is told in full, from 1.
    """
    return Group(*_report(result, name, told))


def _report(result: DesignResult, name: str, told: int) -> Iterator[RenderableType]:
    yield layout.heading(name, _job(result))
    yield Text()
    note = "the best of each accelerator and way of paying" if result.best else "no build keeps the limits"
    training = result.task == "training"
    goal = "the cheapest run" if training and result.objective == "usd" else GOALS[result.objective]
    yield layout.heading(f"Builds for {goal}", note)
    if result.best:
        yield _table(result, result.best, numbered=True)
        if result.task == "inference":
            quiet = "first, a token: means with all places taken, other users' prompts counted"
            yield layout.indented(Text(quiet, style="dim"))
        elif any(build.way == "own" for build in result.best):
            years = f"{result.ownership.years:g}"
            quiet = (
                "USD a run: what is bought counts for the time of the run, as if such runs filled "
                f"{years} years; one run alone takes the capital"
            )
            yield layout.indented(Text(quiet, style="dim"))
        yield Text()
        yield from _in_full(result, result.best[told - 1], told)
        yield from _beside(result)
        yield from _load(result)
        yield from _changes(result)
    elif result.miss:
        yield layout.items([result.miss])
        yield Text()
    if result.front:
        wanted = ", ".join(result.front_objectives)
        yield layout.heading("Pareto front", f"no build is better in all of {wanted}")
        yield _table(result, result.front, numbered=False)
        yield Text()
    yield from _counts(result)


def _job(result: DesignResult) -> str:
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


def _plan(build: Build) -> str:
    """How a copy is split."""
    estimate = build.inference or build.training
    assert estimate is not None  # a build does something
    words = split(estimate.plan)
    if isinstance(estimate, InferenceEstimate):
        words += f", batch {estimate.workload.batch_size:,}"
    return words


def _machines(build: Build) -> str:
    if not build.host:
        return f"{build.hosts} rented" if build.hosts > 1 else "rented"
    words = f"{build.hosts} x {build.host}" if build.hosts > 1 else build.host
    # Between the hosts of one copy the network matters.
    return f"{words}, {build.network}" if "@" in build.cluster else words


def _named(builds: Sequence[Build]) -> tuple[str, ...]:
    """Formats and engines in which builds differ."""
    plans: list[InferencePlan | TrainingPlan] = [
        found.plan for build in builds if (found := build.inference or build.training)
    ]
    return tuple(
        name
        for name in ("weight_format", "kv_format")
        if len({getattr(plan, name, "") for plan in plans}) > 1
    )


def _table(result: DesignResult, builds: Sequence[Build], *, numbered: bool) -> RenderableType:
    """Builds and their figures: the usual ones, and those that limits and objectives look at."""
    named = _named([*result.best, *result.front])
    serving = result.task == "inference"
    wanted = {result.objective, *result.front_objectives}
    columns: list[tuple[str, Callable[[Build], str]]] = []
    if serving:
        columns.append(("tokens/s", lambda build: _whole(build.tokens_per_s)))
        if result.limits.ttft_s or "ttft" in wanted:
            columns.append(("first", lambda build: format_seconds(build.ttft_s)))
        columns.append(("a token", lambda build: format_seconds(build.tpot_s) if build.tpot_s else ""))
    else:
        columns.append(("run", lambda build: format_seconds(build.run_s)))
        columns.append(("USD a run", lambda build: f"{build.run_usd:,.0f}"))
    if any(build.capital_usd for build in builds):
        columns.append(("capital", lambda build: f"${build.capital_usd:,.0f}" if build.capital_usd else ""))
    if result.limits.power_w or "power" in wanted:
        columns.append(("power", lambda build: format_quantity(build.power_w, "W")))
    columns.append(("USD/M", lambda build: _usd_per_million(build.usd_per_million_tokens)))
    rows = []
    for number, build in enumerate(builds, 1):
        estimate = build.inference or build.training
        told = [getattr(estimate.plan, name, "") for name in named] if estimate else []
        rows.append(
            [
                str(number) if numbered else "",
                f"{build.accelerators} x {build.accelerator}",
                _machines(build),
                *([", ".join(told)] if named else []),
                *(shown(build) for _, shown in columns),
            ]
        )
    header = ["", "accelerators", "hosts", *(["format"] if named else []), *(name for name, _ in columns)]
    return layout.columns(header, rows, left=4 if named else 3, wrap=True, width=0)


def _whole(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _usd_per_million(usd: float) -> str:
    return f"{usd:,.2f}" if usd >= 0.1 else f"{usd:.2g}"


def _words(build: Build) -> str:
    """A build in few words."""
    words = f"{build.accelerators} x {build.accelerator}"
    return words + (f" in {_machines(build)}" if build.host else f", {_machines(build)}")


def _in_full(result: DesignResult, build: Build, told: int) -> Iterator[RenderableType]:
    yield layout.heading(f"Build {told}", _words(build))
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
    yield layout.facts(facts)
    yield Text()
    yield from _bill(build)
    yield from _expenses(result, build)
    if build.warnings:
        yield layout.heading("Beware")
        yield layout.items([f"{warning.text} ({warning.kind})" for warning in build.warnings], "yellow")
        yield Text()


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


def _bill(build: Build) -> Iterator[RenderableType]:
    title = "Bill of materials" if build.way == "own" else "Rent"
    total = sum(row.quantity * row.usd for row in build.bill)
    each = "USD/h" if build.way == "rent" else "USD"
    yield layout.heading(title, f"${total:,.2f} an hour" if build.way == "rent" else f"${total:,.0f}")
    sources = list(dict.fromkeys(row.source for row in build.bill))
    rows = [
        (
            f"{_kind(row)} {row.date}{STALE if row.stale else ''}",
            f"{row.quantity:,} x {row.name} [{sources.index(row.source) + 1}]",
            f"{row.usd:,.2f}",
            f"{row.quantity * row.usd:,.2f}",
        )
        for row in build.bill
    ]
    yield layout.columns(("price", "", each, "together"), rows, left=2, wrap=True, width=0)
    told = [f"[{number}] {source}" for number, source in enumerate(sources, 1)]
    yield layout.indented(Text("\n".join(told), style="dim"))
    yield Text()


def _kind(row: BillRow) -> str:
    return "yours" if row.source == GIVEN else KINDS[row.kind]


def _expenses(result: DesignResult, build: Build) -> Iterator[RenderableType]:
    if build.way == "rent":
        return
    own = result.ownership
    words = [f"over {own.years:g} years"]
    words += [f"interest {own.annual_interest:.1%}"] if own.annual_interest else []
    words += [f"{own.residual_share:.0%} back at a sale"] if own.residual_share else []
    words.append(f"${own.usd_per_kwh:.3g}/kWh")
    words += [f"${own.usd_per_kw_month:,.0f} a kW and month"] if own.usd_per_kw_month else []
    note = f"{format_usd(build.usd_per_s * HOUR)} an hour; {', '.join(words)}"
    yield layout.heading("Where the money goes", note)
    yield layout.bars(
        (one.name, f"{format_usd(one.usd_per_s * HOUR)}/h", max(one.share, 0.0), "cyan")
        for one in build.expenses
    )
    yield Text()


def _beside(result: DesignResult) -> Iterator[RenderableType]:
    """Renting and APIs beside owning."""
    own = next((build for build in result.best if build.way == "own"), None)
    found = [one for one in result.alternatives if one.break_even_s != 0 or not own]
    if not found:
        return
    note = "when the best build to own has paid for itself against it" if own else ""
    training = result.task == "training"
    yield layout.heading("Rent or buy" if training else "Rent, buy, or call an API", note)
    rent = [one for one in found if one.name.startswith("rent ")]
    others = [one for one in found if not one.name.startswith("rent ")]
    rows = []
    for one in sorted([*rent, *others[:ALTERNATIVES]], key=lambda one: one.usd_per_million_tokens):
        paid = _months(one.break_even_s) if own else ""
        stale = STALE if one.stale else ""
        rows.append((one.name, f"{one.date}{stale}", _usd_per_million(one.usd_per_million_tokens), paid))
    if own:
        rows.append(("own, the best build", "", _usd_per_million(own.usd_per_million_tokens), ""))
    kept = 4 if own else 3
    header = ("", "price of", "USD/M", "paid after")[:kept]
    yield layout.columns(header, [row[:kept] for row in rows], left=2)
    if len(others) > ALTERNATIVES:
        more = f"{len(others) - ALTERNATIVES} dearer providers are left out"
        yield layout.indented(Text(more, style="dim"))
    if own:
        months = f"{result.ownership.years * 12:,.0f}"
        yield layout.indented(Text(f"what is bought is counted over {months} months", style="dim"))
    if others:
        words = "APIs: for a million tokens put out, with the prompts that belong to them"
        yield layout.indented(Text(words, style="dim"))
    yield Text()


def _months(seconds: float | None) -> str:
    """Until something has paid for itself.

    Examples
    --------
    >>> _months(36 * MONTH), _months(5 * DAY), _months(None)
    ('36 months', '5 days', 'never')
    """
    if seconds is None or seconds > LONG:
        return "never"
    if seconds < MONTH:
        return f"{math.ceil(seconds / DAY)} days"
    return f"{seconds / MONTH:.0f} months"


def _load(result: DesignResult) -> Iterator[RenderableType]:
    points = result.load_curve
    if not points:
        return
    kinds = [name for name in ("own", "rent") if any(getattr(p, name) is not None for p in points)]
    stay = "rented machines given back" if result.ownership.elastic else "the machines staying"
    yield layout.heading("Less to do", f"USD a million tokens over the mean demand, {stay}")
    rows = [
        (layout.percent(point.share), *(_usd_per_million(getattr(point, name)) for name in kinds))
        for point in points
        if round(point.share, 2) in (0.05, 0.1, 0.2, 0.5, 1.0)
    ]
    yield layout.columns(("demand", *kinds), rows)
    yield Text()


def _changes(result: DesignResult) -> Iterator[RenderableType]:
    if not result.sensitivity:
        return
    adapted = "the first build as it stands" if result.task == "training" else "the first build, adapted"
    yield layout.heading("What would change it", adapted)
    rows = [
        (one.what, _usd_per_million(one.usd_per_million_tokens), layout.change(one.factor))
        for one in result.sensitivity
    ]
    yield layout.columns(("", "USD/M", "change"), rows, width=32)
    yield Text()


def _counts(result: DesignResult) -> Iterator[RenderableType]:
    yield layout.heading("Builds", f"{format_count(result.candidates)} in all")
    words = f"{result.evaluated:,} timed and priced; no other can be better"
    yield layout.indented(Text(words))
    if result.removed:
        told = [f"{rule.rule}: {rule.candidates:,}" for rule in result.removed]
        yield layout.indented(Text(f"left out: {'; '.join(told)}", style="dim"))
