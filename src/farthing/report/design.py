"""The report of a design: builds beside each other, one in full with its bill, and what else there is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from farthing.records.design import Build, DesignResult
from farthing.report import design_alternatives as others
from farthing.report import design_words as words
from farthing.report import layout
from farthing.units import format_count


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
    yield layout.heading(name, words.job(result))
    yield Text()
    note = "the best of each accelerator and way of paying" if result.best else "no build keeps the limits"
    yield layout.heading(f"Builds for {words.goal(result)}", note)
    if result.best:
        yield _table(result, result.best, numbered=True)
        if quiet := words.table_note(result):
            yield _quiet(quiet)
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


def _quiet(text: str) -> RenderableType:
    return layout.indented(Text(text, style="dim"))


def _table(result: DesignResult, builds: Sequence[Build], *, numbered: bool) -> RenderableType:
    columns = words.build_columns(result, builds)
    names = words.name_columns(result)
    rows = [
        (
            str(number) if numbered else "",
            *words.build_names(result, build),
            *(column.words(column.of(build)) for column in columns),
        )
        for number, build in enumerate(builds, 1)
    ]
    header = ["", *names, *(column.name for column in columns)]
    return layout.columns(header, rows, left=1 + len(names), wrap=True, width=0)


def _in_full(result: DesignResult, build: Build, told: int) -> Iterator[RenderableType]:
    yield layout.heading(f"Build {told}", words.build_words(build))
    yield layout.facts(words.build_facts(result, build))
    yield Text()
    yield from _bill(build)
    if build.way != "rent":
        yield layout.heading("Where the money goes", words.expense_note(result, build))
        yield layout.bars((*row, "cyan") for row in words.expense_rows(build))
        yield Text()
    if build.warnings:
        yield layout.heading("Beware")
        yield layout.items([f"{warning.text} ({warning.kind})" for warning in build.warnings], "yellow")
        yield Text()


def _bill(build: Build) -> Iterator[RenderableType]:
    yield layout.heading(*words.bill_title(build))
    yield layout.columns(*words.bill_table(build), left=2, wrap=True, width=0)
    told = [f"[{number}] {source}" for number, source in enumerate(words.bill_sources(build), 1)]
    yield _quiet("\n".join(told))
    yield Text()


def _beside(result: DesignResult) -> Iterator[RenderableType]:
    """Renting and APIs beside owning."""
    found = others.beside(result)
    if not found:
        return
    yield layout.heading(found.title, found.note)
    yield layout.columns(found.header, found.rows, left=2)
    for remark in found.remarks:
        yield _quiet(remark)
    yield Text()


def _load(result: DesignResult) -> Iterator[RenderableType]:
    if not result.load_curve:
        return
    yield layout.heading("Less to do", others.load_note(result))
    yield layout.columns(*others.load_table(result))
    yield Text()


def _changes(result: DesignResult) -> Iterator[RenderableType]:
    if not result.sensitivity:
        return
    yield layout.heading("What would change it", others.change_note(result))
    yield layout.columns(*others.change_table(result), width=32)
    yield Text()


def _counts(result: DesignResult) -> Iterator[RenderableType]:
    yield layout.heading("Builds", f"{format_count(result.candidates)} in all")
    timed, *left_out = others.looked_at(result)
    yield layout.indented(Text(timed))
    for line in left_out:
        yield _quiet(line)
