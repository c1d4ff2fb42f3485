"""Design: the cheapest complete build, to buy or to rent, that does a job."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlencode

from farthing import api
from farthing.errors import InvalidInput
from farthing.records.design import Build, DesignResult
from farthing.records.term import Term
from farthing.report import design_alternatives, design_words
from farthing.report.design_charts import design_charts
from farthing.report.estimate import split
from farthing.units import MEGA, MONTH, format_quantity, format_usd
from farthing.web.asks import python_call
from farthing.web.kinds import Source, in_python
from farthing.web.subject import model_of, without
from farthing.web.view import Explanation, Given, Shown, View
from farthing.web.views.design_asks import ASKS, OF_SERVING, OF_TRAINING

PRICES: Final = ("usd", "usd_per_hour")


def _prices(listed: Sequence[str]) -> dict[str, float]:
    """``ITEM=USD`` by item."""
    pairs = (text.partition("=") for text in listed)
    return {item.strip().lower(): float(usd.strip().removeprefix("$")) for item, _, usd in pairs}


def _question(given: Given) -> dict[str, Any]:
    """What was given as the arguments of `farthing.api.design`, but for the model."""
    training = given.get("task", "inference") == "training"
    titles = {ask.name: ask.title for ask in ASKS}
    for field in OF_SERVING if training else OF_TRAINING:
        if field in given:
            why = (
                "is of serving: leave it out" if training else "is of training: choose that first, under For"
            )
            raise InvalidInput(f"{field}: {titles[field]!r} {why}")
    asked = without(given, "model", "changes", *PRICES)
    return asked | {name: _prices(given[name]) for name in PRICES if name in given}


def _ask(given: Given) -> DesignResult:
    return api.design(model_of(given), **_question(given))


def _python(given: Given) -> str:
    asked = dict(given)
    for name in PRICES:
        if name in given:
            pairs = (f"{in_python(item)}: {in_python(usd)}" for item, usd in _prices(given[name]).items())
            asked[name] = Source(f"{{{', '.join(pairs)}}}")
    return python_call("design", ("model",), asked)


def _copy_query(build: Build, model: str) -> str:
    """The question about one copy alone, as the address of another view has it."""
    fields: dict[str, Any] = {"model": model, "cluster": build.cluster}
    if build.inference:
        plan, load = build.inference.plan, build.inference.workload
        fields |= {"batch_size": load.batch_size, "prompt_tokens": load.prompt_tokens}
        fields |= {"output_tokens": load.output_tokens}
        fields |= {name: getattr(plan, name) for name in ("tp", "pp", "dp", "ep", "weight_format")}
    elif build.training:
        run = build.training.workload
        fields |= {"training_tokens": f"{run.training_tokens:g}", "sequence_tokens": run.sequence_tokens}
        fields |= {"global_batch_size": run.global_batch_size}
    return urlencode(fields, safe=":,/@")


def _whole(result: DesignResult, build: Build, model: str) -> dict[str, Any]:
    """All about one build."""
    return {
        "build": build,
        "title": design_words.build_words(build),
        "facts": design_words.build_facts(result, build),
        "bill_title": design_words.bill_title(build),
        "bill": design_words.bill_table(build),
        "sources": design_words.bill_sources(build),
        "expense_note": design_words.expense_note(result, build) if build.way == "own" else "",
        "expenses": [(*row, "part") for row in design_words.expense_rows(build)]
        if build.way == "own"
        else [],
        "copy": _copy_query(build, model),
    }


def _figures(result: DesignResult, builds: Sequence[Build]) -> dict[str, Any]:
    """A table of builds: names as words, figures with their values."""
    columns = design_words.build_columns(result, builds)
    rows = [
        (
            design_words.build_names(result, build),
            [(column.of(build), column.words(column.of(build))) for column in columns]
            + [(build.usd_per_s * MONTH, format_usd(build.usd_per_s * MONTH))],
        )
        for build in builds
    ]
    figures = (*(column.name for column in columns), "USD/month")
    return {"names": design_words.name_columns(result), "figures": figures, "rows": rows}


def _show(given: Given, result: DesignResult) -> Shown:
    model = str(given["model"])
    best = result.best
    job = design_words.job(result)
    return Shown(
        headline=f"{result.model}: {job}" if job else result.model,
        verdict=design_words.answer(result),
        good=bool(best),
        charts=design_charts(result) if best else (),
        more={
            "result": result,
            "goal": design_words.goal(result),
            "best": best[0] if best else None,
            "builds": _figures(result, best),
            "table_note": design_words.table_note(result),
            "wholes": [_whole(result, build, model) for build in best],
            "beside": design_alternatives.beside(result),
            "load": design_alternatives.load_table(result) if result.load_curve else None,
            "load_note": design_alternatives.load_note(result),
            "changes": design_alternatives.change_table(result) if result.sensitivity else None,
            "change_note": design_alternatives.change_note(result),
            "looked_at": design_alternatives.looked_at(result),
            "front": _figures(result, result.front) if result.front else None,
            "assumptions": _assumptions(best[0]) if best else (),
            "estimates": "training" if result.task == "training" else "inference",
        },
    )


def _assumptions(build: Build) -> Sequence[str]:
    estimate = build.inference or build.training
    return estimate.assumptions if estimate else ()


_PLAIN: Final = (
    "way",
    "accelerator",
    "accelerators",
    "accelerators_per_host",
    "host",
    "hosts",
    "network",
    "nic",
    "switch",
    "switches",
    "cluster",
    "copies",
    "tokens_per_s",
    "requests_per_s",
    "ttft_s",
    "tpot_s",
    "run_s",
    "run_usd",
    "power_w",
    "average_power_w",
    "capital_usd",
    "usd_per_s",
    "usd_per_million_tokens",
)
"""Fields of a build that a table holds."""


def _rows(result: DesignResult) -> Sequence[Mapping[str, Any]]:
    def row(build: Build, place: str) -> Mapping[str, Any]:
        estimate = build.inference or build.training
        plan = split(estimate.plan) if estimate else ""
        return {"place": place} | {name: getattr(build, name) for name in _PLAIN} | {"plan": plan}

    best = [row(build, str(number)) for number, build in enumerate(result.best, 1)]
    return [*best, *(row(build, "front") for build in result.front)]


_MEANINGS: Final = {
    "usd_per_million_tokens": (
        "A million tokens",
        "What a million tokens cost: all that the build costs a second, over the tokens a second that are "
        "asked for (or trained on).",
    ),
    "tokens_per_s": (
        "Tokens a second",
        "What all copies of the model do together with all places taken; while serving, other users' prompts "
        "are read in between.",
    ),
    "ttft_s": (
        "Time to the first token",
        "Mean time from a request to its first token with all places taken, other users' prompts counted.",
    ),
    "tpot_s": (
        "Time a token",
        "Mean time between two tokens of an answer with all places taken, other users' prompts counted.",
    ),
    "capital_usd": (
        "Capital",
        "Price of everything that is bought: cards, hosts, supplies, network and cables.",
    ),
    "usd_per_month": (
        "Cost of a month",
        "All that the build costs in a month of 30.4 days: what it was bought for, spread over the years, or "
        "its rent; electricity, space and interest.",
    ),
    "power_w": (
        "Power",
        "At the meter in the busiest hour, with hosts, network and the building's overhead.",
    ),
    "run_s": ("Time of a run", "The whole training run, failures and restarts counted."),
    "run_usd": (
        "Cost of a run",
        "What the training run costs; what is bought counts for as long as the run takes it.",
    ),
}
"""What a number of the best build is called, and what it is, by its name."""

_DERIVED: Final = {"tpot_s": "time per output token", "tokens_per_s": "tokens a second"}
_OF_MONEY: Final = ("usd_per_million_tokens", "usd_per_month", "run_usd")


def _money_terms(result: DesignResult, build: Build, number: str) -> Iterator[Term]:
    parts = tuple(Term(name=one.name, value=one.usd_per_s, unit="USD/s") for one in build.expenses)
    whole = Term(
        name="cost of the build",
        value=build.usd_per_s,
        unit="USD/s",
        formula=" + ".join(part.name for part in parts),
        terms=parts,
    )
    if number == "usd_per_million_tokens" and build.usd_per_million_tokens:
        paid = build.usd_per_s * MEGA / build.usd_per_million_tokens
        yield Term(
            name="a million tokens",
            value=build.usd_per_million_tokens,
            unit="USD",
            formula="cost of the build / tokens a second that are asked for × 10⁶",
            numbers=f"{build.usd_per_s:.4g} / {paid:,.6g} × 10⁶",
            terms=(whole,),
        )
    elif number == "usd_per_month":
        yield Term(
            name="a month",
            value=build.usd_per_s * MONTH,
            unit="USD",
            formula="cost of the build × seconds of a month",
            numbers=f"{build.usd_per_s:.4g} × {MONTH:,.0f}",
            terms=(whole,),
        )


def _price_notes(build: Build) -> Iterator[str]:
    each = " an hour" if build.way == "rent" else ""
    for row in build.bill:
        stale = "; older than six months" if row.stale else ""
        kind = f"{row.kind}, {row.date}" if row.date else row.kind
        yield f"{row.quantity:,} x {row.name}: {format_usd(row.usd)}{each} ({kind}{stale}), {row.source}."


def _explain(given: Given, result: DesignResult, number: str) -> Explanation:
    if not result.best:
        raise InvalidInput("no build keeps the limits: there is no number to explain")
    build = result.best[0]
    value = build.usd_per_s * MONTH if number == "usd_per_month" else getattr(build, number, None)
    if number not in _MEANINGS or value is None:
        raise InvalidInput(f"no such number; known: {', '.join(_MEANINGS)}")
    units = {"tokens_per_s": "token/s", "power_w": "W"}
    unit = "s" if number in ("ttft_s", "tpot_s", "run_s") else units.get(number, "USD")
    terms = tuple(_money_terms(result, build, number))
    notes = [f"{name}: {words}" for name, words in design_words.build_facts(result, build)]
    if number in _OF_MONEY:
        notes = [f"{name}: {words}, {share:.0%}." for name, words, share in design_words.expense_rows(build)]
        if build.way == "own":
            notes.insert(0, f"{design_words.expense_note(result, build)}.")
    if number in (*_OF_MONEY, "capital_usd"):
        notes += _price_notes(build)
    if number in _DERIVED and build.inference:
        alone = api.infer(
            model_of(given),
            build.cluster,
            plan=build.inference.plan,
            workload=build.inference.workload,
            explain=True,
            ideal=given.get("ideal", False),
        )
        terms = tuple(term for term in alone.terms if term.name == _DERIVED[number])
        if terms:
            notes.append("The derivation is of one copy alone, without other users' prompts in between.")
    words = format_usd(value) if unit == "USD" else format_quantity(value, unit)
    title, meaning = _MEANINGS[number]
    return Explanation(title=title, value=words, meaning=meaning, terms=terms, notes=notes)


VIEW: Final = View(
    name="design",
    title="Design",
    lead="What to buy or to rent: the cheapest whole build that does a job, every price with its date and "
    "source. Files of own prices are for the command.",
    asks=ASKS,
    ask=_ask,
    show=_show,
    record=lambda given, result: result,
    rows=_rows,
    explain=_explain,
    first={
        "model": "llama-2-70b",
        "tokens_per_s": 2000,
        "tpot_s": "50ms",
        "front": "usd,tpot",
        "accelerators": "rtx-3090,rtx-4090,rtx-5090,l40s,a100-sxm-80gb,h100-sxm,h200-sxm,mi300x",
    },
    slow=True,
    command=("design",),
    function="design",
    positional=("model",),
    call=_python,
    needed=("model",),
    schema=DesignResult,
)
