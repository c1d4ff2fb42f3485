"""The report of a validation: how far off, where, and what is not predicted."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from farthing.records.accuracy import Accuracy, Validation
from farthing.records.comparison import Comparison
from farthing.records.refit import Refit
from farthing.report import layout

PREDICTIONS: Final = (
    "file",
    "id",
    "source",
    "kind",
    "quantity",
    "measured",
    "predicted",
    "low",
    "high",
    "reason",
)
MOST_REASONS: Final = 8


def share(value: float) -> str:
    """A share in percent, blank where there is none.

    Examples
    --------
    >>> share(0.0734), share(2.2), share(float("nan"))
    ('7.3%', '220%', '')
    """
    if math.isnan(value):
        return ""
    return f"{value:.1%}" if value < 0.0995 else f"{value:.0%}"


def validation_report(found: Validation) -> RenderableType:
    """A table by group, what is not predicted, and where to see more."""
    return Group(*_report(found))


def _report(found: Validation) -> Iterator[RenderableType]:
    if not found.cases:
        yield Text("no measurements: the files hold a header and nothing else")
        return
    covered = layout.percent(found.predicted / found.cases)
    yield layout.heading(
        f"{found.predicted:,} of {found.cases:,} measured numbers predicted ({covered})",
        "sources count alike; fitted numbers are left out of the errors",
    )
    yield Text()
    yield _table(found.by_group or found.by_source)
    yield Text()
    if found.refusals:
        missing = found.cases - found.predicted
        yield layout.heading("Not predicted", f"{missing:,} number" + "s" * (missing != 1))
        shown = found.refusals[:MOST_REASONS]
        yield layout.items(f"{row.cases:,} {row.kind}: {row.reason}" for row in shown)
        if len(found.refusals) > len(shown):
            rest = sum(row.cases for row in found.refusals[len(shown) :])
            yield layout.indented(
                Text(f"and {rest:,} for {len(found.refusals) - len(shown):,} other reasons")
            )
        yield Text()
    yield layout.items(
        (
            "median, 90%: of |predicted / measured - 1|; bias: mean of predicted / measured; constant: "
            "median error of one constant times the peaks, fitted to the same rows; in 80%: measurements "
            "inside their 80% interval",
            "every number: --predictions OUT.csv; by source: --json; how the shipped ones came out: "
            "docs/accuracy.md",
        )
    )


def _table(rows: Sequence[Accuracy]) -> RenderableType:
    """Names give way where room is short, numbers never."""
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", pad_edge=False)
    table.add_column("", overflow="fold")
    for name in ("numbers", "covered", "median", "90%", "bias", "constant", "in 80%"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        table.add_row(*map(Text, _row(row)))
    return layout.indented(table)


def _row(row: Accuracy) -> Sequence[str]:
    name = row.group or f"{row.quantity}, {row.source}"
    return (
        name if row.evidence or not row.coverage else f"{name} (fitted)",
        f"{row.cases:,}",
        share(row.coverage) if row.coverage < 0.995 else "all" if row.coverage == 1 else "99%",
        share(row.median_error),
        share(row.p90_error),
        "" if math.isnan(row.bias) else f"{row.bias:.2f}",
        share(row.baseline_error),
        "" if math.isnan(row.inside_80) else layout.percent(row.inside_80),
    )


def validation_object(found: Validation) -> dict[str, Any]:
    """What ``--json`` prints."""
    left_out = [one for one in found.comparisons if one.reason]
    return {
        "cases": found.cases,
        "predicted": found.predicted,
        "coverage": found.predicted / found.cases if found.cases else None,
        "by_source": [_object(row, ("file", "kind", "quantity", "source")) for row in found.by_source],
        "by_group": [_object(row, ("kind", "group")) for row in found.by_group],
        "refusals": found.refusals,
        "left_out": [
            {
                "file": one.case.file,
                "id": one.case.id,
                "source": one.case.source,
                "kind": one.case.kind,
                "quantity": one.quantity,
                "reason": one.reason,
            }
            for one in left_out
        ],
    }


def _object(row: Accuracy, names: Sequence[str]) -> dict[str, Any]:
    found = {name: getattr(row, name) for name in names}
    for name in (
        "cases",
        "coverage",
        "evidence",
        "sources",
        "median_error",
        "p90_error",
        "bias",
        "baseline_error",
        "inside_80",
    ):
        found[name] = getattr(row, name)
    return found


def predictions_text(comparisons: Iterable[Comparison]) -> str:
    """One line for each measured number, as CSV in the sources' units."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(PREDICTIONS)
    for one in comparisons:
        case = one.case
        numbers = (one.measured, one.predicted, one.low, one.high)
        writer.writerow(
            (case.file, case.id, case.source, case.kind, one.quantity, *map(_number, numbers), one.reason)
        )
    return text.getvalue()


def _number(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.6g}"


def refit_report(found: Refit) -> RenderableType:
    """What a user's own runs changed."""
    return Group(*_refit(found))


def _refit(found: Refit) -> Iterator[RenderableType]:
    yield layout.heading(f"{found.predicted:,} of {found.runs:,} measured numbers of your runs predicted")
    if found.rows_fitted < found.rows:
        yield Text(f"fitted to an even sample, {found.rows_fitted:,} of the file's {found.rows:,} rows")
    if not found.predicted:
        yield from _list("Not predicted", found.refusals)
        return
    if found.constants:
        yield Text(
            f"median error {share(found.error_before)} before, {share(found.error_after)} with the constants "
            "refitted"
            + (
                ""
                if math.isnan(found.error_unseen)
                else f"; {share(found.error_unseen)} where each half is predicted from the other"
            )
        )
        yield Text()
        yield layout.columns(
            ("constant", "of", "on", "factor", "measurements"),
            [
                (row.name, row.engine or "no engine", row.architecture, f"{row.factor:.3f}", f"{row.runs:,}")
                for row in found.constants
            ],
            left=3,
        )
    else:
        yield Text(f"median error {share(found.error_before)}; no constant changed")
    yield Text()
    yield from _list("Left as they are", found.missing)
    yield from _list("Not predicted", found.refusals)
    if found.file:
        yield Text(f"kept in {found.file}; every estimate uses them until: farthing validate --forget")


def _list(title: str, rows: Sequence[str]) -> Iterator[RenderableType]:
    if rows:
        yield layout.heading(title)
        yield layout.items(rows[:MOST_REASONS])
        if len(rows) > MOST_REASONS:
            yield layout.indented(Text(f"and {len(rows) - MOST_REASONS} more"))
        yield Text()
