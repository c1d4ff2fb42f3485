"""Writes docs/accuracy.md, its charts, its baseline and the package's outcomes from the shipped measurements.

With ``--check`` only says whether the page's table is that of the baseline.
"""

from __future__ import annotations

import csv
import json
import math
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from farthing.evidence.accuracy import (
    grouped,
    refusals,
    relative_errors,
    source_weights,
    table,
    weighted_quantile,
)
from farthing.records.accuracy import Accuracy
from farthing.records.comparison import Comparison

FILE = Path(__file__).with_name("accuracy.md")
FOLDER = Path(__file__).with_name("accuracy")
BASELINE = FOLDER / "baseline.json"

MARGIN = "a twentieth of itself plus half a percentage point"
"""How much a group's median error may grow before the tests fail; `allowed` computes it."""

FIGURES = (
    "cases",
    "coverage",
    "evidence",
    "sources",
    "median_error",
    "p90_error",
    "bias",
    "baseline_error",
    "inside_80",
)
WORST = 10


def allowed(median_error: float) -> float:
    """The largest median error that is no regression.

    Examples
    --------
    >>> round(allowed(0.10), 4)
    0.11
    """
    return median_error * 1.05 + 0.005


def figures(row: Accuracy) -> dict[str, Any]:
    """A row of the baseline: what the tests hold later runs against."""
    found: dict[str, Any] = {"kind": row.kind, "group": row.group}
    for name in FIGURES:
        value = getattr(row, name)
        if isinstance(value, float):
            value = None if math.isnan(value) else round(value, 4)
        found[name] = value
    return found


def percent(value: float | None) -> str:
    """A share, readable."""
    if value is None or math.isnan(value):
        return "-"
    return f"{value:.1%}" if value < 0.0995 else f"{value:.0%}"


def group_table(rows: Sequence[dict[str, Any]]) -> str:
    """The table by group."""
    lines = [
        "| kind | group | numbers | predicted | not fitted | sources | median error | 90% below | bias "
        "| one constant | inside 80% interval |",
        "|---|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for row in rows:
        bias = "-" if row["bias"] is None else f"{row['bias']:.2f}"
        lines.append(
            f"| {row['kind']} | {row['group']} | {row['cases']:,} | {percent(row['coverage'])} "
            f"| {row['evidence']:,} | {row['sources']} | {percent(row['median_error'])} "
            f"| {percent(row['p90_error'])} | {bias} | {percent(row['baseline_error'])} "
            f"| {percent(row['inside_80'])} |"
        )
    return "\n".join(lines)


def source_table(rows: Iterable[Accuracy]) -> Iterator[str]:
    """The table by group and source."""
    yield "| kind | group | source | numbers | predicted | median error | 90% below | bias | one constant |"
    yield "|---|---|---|---:|---:|---:|---:|---:|---:|"
    for row in rows:
        fitted = "" if row.evidence or not row.coverage else " (fitted)"
        bias = "-" if math.isnan(row.bias) else f"{row.bias:.2f}"
        yield (
            f"| {row.kind} | {row.group} | {_cell(row.source)}{fitted} | {row.cases:,} "
            f"| {percent(row.coverage)} | {percent(row.median_error)} | {percent(row.p90_error)} | {bias} "
            f"| {percent(row.baseline_error)} |"
        )


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "/")


def _csv(name: str) -> list[dict[str, str]]:
    return list(csv.DictReader((FOLDER / name).read_text("utf-8").splitlines()))


def judged(comparisons: Iterable[Comparison]) -> list[Comparison]:
    """Predicted numbers that no constant was fitted to."""
    return [one for one in comparisons if not one.reason and not one.fitted]


def peers(comparisons: Sequence[Comparison]) -> Iterator[str]:
    """The peers' errors beside ours."""
    yield "| measurements | peer | its error | ours: median | mean | 10% .. 90% | one constant | |"
    yield "|---|---|---:|---:|---:|---:|---:|---|"
    for row in _csv("peers.csv"):
        mine = [
            one
            for one in judged(comparisons)
            if one.case.kind == row["kind"] and row["group"].lower() in one.group.lower()
        ]
        if not mine:
            continue
        weights, errors = source_weights(mine), relative_errors(mine)
        signed = np.array([one.predicted / one.measured - 1 for one in mine])
        low, high = (weighted_quantile(signed, weights, share) for share in (0.1, 0.9))
        constant = baseline_error(mine)
        yield (
            f"| {mine[0].group} | {row['peer']} | {row['figure']} "
            f"| {percent(weighted_quantile(errors, weights, 0.5))} "
            f"| {percent(float(np.average(errors, weights=weights)))} | {low:+.0%} .. {high:+.0%} "
            f"| {percent(constant)} | {row['note']} |"
        )


def baseline_error(comparisons: Sequence[Comparison]) -> float:
    """Median error of one constant times the peaks."""
    rows = [row for row in table(comparisons) if row.source == "all"]
    return rows[0].baseline_error


def worst(comparisons: Sequence[Comparison]) -> Iterator[str]:
    """The numbers that are furthest off, and why."""
    known = {(row["file"], row["id"], row["quantity"]): row["why"] for row in _csv("explanations.csv")}
    rows = judged(comparisons)
    yield "| row | source | quantity | measured | predicted | why |"
    yield "|---|---|---|---:|---:|---|"
    for one in sorted(rows, key=lambda one: -abs(one.log_error))[:WORST]:
        key = (one.case.file, one.case.id, one.quantity)
        why = known.get(key) or explanation(one, rows)
        yield (
            f"| {one.case.file} {_cell(one.case.id)} | {_cell(one.case.source)} | {one.quantity} "
            f"| {one.measured:.4g} | {one.predicted:.4g} | {_cell(why)} |"
        )


def explanation(one: Comparison, rows: Sequence[Comparison]) -> str:
    """What the row's relatives suggest."""

    def reached(other: Comparison) -> float:
        share = other.measured / other.simple
        return share if other.rate else 1 / share

    beside = [o for o in rows if o.case.source == one.case.source and o.quantity == one.quantity]
    offset = float(np.median([o.log_error for o in beside]))
    like = [o for o in rows if o.likeness == one.likeness and o.case.source != one.case.source]
    usual = float(np.median([reached(o) for o in like])) if like else math.nan
    share = reached(one)
    words = (
        f"the measurement reaches {share:.1%} of the peaks" if share < 1 else "faster than the peaks allow"
    )
    if share > 1 and one.likeness.what == "first token under load":
        return (
            f"{words} {share:.3g} times over: so many users cannot all be waiting on the cards that the row "
            "states; they arrived more slowly, or more workers took the prompts"
        )
    if not math.isnan(usual):
        words += f", like cases {usual:.1%}"
    if share > 1:
        return f"{words}: model, card, format or count cannot be what the row says"
    if len(beside) > 2 and offset * one.log_error > 0 and abs(offset) > abs(one.log_error) / 3:
        return (
            f"{words}; the {len(beside)} rows of this source are off the same way (median ratio "
            f"{math.exp(offset):.2f}): something that they share and do not state"
        )
    slower = (one.log_error > 0) == one.rate
    if slower:
        return (
            f"{words}; the rest of its source is not off: waiting or software that the row does not tell of"
        )
    return f"{words}; the rest of its source is not off: the prediction sees more work than was done"


def split() -> Iterator[str]:
    """Which measurements constants are fitted to."""
    from importlib import resources

    text = (resources.files("farthing.evidence") / "split.csv").read_text("utf-8")
    yield "| kind | source | why |"
    yield "|---|---|---|"
    for row in csv.DictReader(text.splitlines()):
        yield f"| {row['kind']} | {_cell(row['source'])} | {_cell(row['why'])} |"


def charts(comparisons: Sequence[Comparison]) -> list[str]:
    """Predicted over measured by group, one picture for each kind; names of the files."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    names = []
    for (kind,), mine in grouped(judged(comparisons), lambda one: (one.case.kind,)).items():
        groups = grouped([one for one in mine if one.group], lambda one: (one.group,))
        if not groups:
            continue
        wide = min(3, len(groups))
        high = math.ceil(len(groups) / wide)
        figure, axes = pyplot.subplots(high, wide, figsize=(4 * wide, 3.7 * high), squeeze=False)
        for ax in axes.flat[len(groups) :]:
            ax.set_axis_off()
        for ax, ((group,), rows) in zip(axes.flat, groups.items(), strict=False):
            scatter(ax, group, rows)
        figure.tight_layout()
        figure.savefig(FOLDER / f"{kind}.png", dpi=80, metadata={"Software": None})
        pyplot.close(figure)
        names.append(kind)
    return names


def scatter(ax: Any, group: str, rows: Sequence[Comparison]) -> None:
    """One small chart: each source a colour, the diagonal exact, the band within a factor of 1.25."""
    for number, (_, own) in enumerate(grouped(rows, lambda one: (one.case.source,)).items()):
        ax.plot(
            *zip(*map(shares, own), strict=True),
            ".",
            markersize=3,
            alpha=0.5,
            color=f"C{number % 10}",
        )
    values = np.array([shares(one) for one in rows])
    ends = np.array([values.min() / 1.3, values.max() * 1.3])
    ax.fill_between(ends, ends / 1.25, ends * 1.25, color="0.9", linewidth=0)
    ax.plot(ends, ends, color="0.4", linewidth=0.8)
    ax.set(xscale="log", yscale="log", xlim=ends, ylim=ends, xlabel="measured", ylabel="predicted")
    ax.set_title(group, fontsize=9)
    from matplotlib.ticker import LogLocator, NullFormatter

    span = ends[1] / ends[0]
    fine = (1.0, 2.0, 5.0) if span > 4 else (1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0)
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_locator(LogLocator(100 if span > 1e4 else 10, subs=fine if span < 50 else (1.0,)))
        axis.set_major_formatter("{x:g}")
        axis.set_minor_formatter(NullFormatter())


def shares(one: Comparison) -> tuple[float, float]:
    """Measured and predicted as shares of the peaks, as the numbers of a group are in several units."""
    peak = one.simple if math.isfinite(one.simple) and one.simple > 0 else 1.0
    found = (one.measured / peak, one.predicted / peak)
    return found if one.rate else (1 / found[0], 1 / found[1])


def page(comparisons: Sequence[Comparison], rows: Sequence[dict[str, Any]], kinds: Sequence[str]) -> str:
    """The whole page."""
    found = table(comparisons)
    predicted = sum(not one.reason for one in comparisons)
    fitted = sum(one.fitted for one in comparisons if not one.reason)
    missing = refusals(comparisons)
    lines = [
        "# Accuracy",
        "",
        "<!-- Written by docs/generate_accuracy.py from the shipped measurements; see `make docs`. -->",
        "",
        f"farthing predicts {predicted:,} of the {len(comparisons):,} published measurements that ship with "
        f"it. Constants were fitted to {fitted:,} of them; those count in no error below. Sources have the "
        "same weight, however many rows they have. `farthing validate` computes all this again, "
        "`farthing validate FILE` does it for measurements of yours.",
        "",
        "- *median error*, *90% below*: of |predicted / measured - 1|. *bias*: exp of the mean of "
        "log(predicted / measured), of the times where a group mixes times and rates.",
        "- *one constant*: median error of the trivial baseline, one efficiency times the peaks, "
        "fitted to the very rows that it is judged on.",
        "- *inside 80% interval*: measurements inside the interval that all other sources give.",
        "",
        group_table(rows),
        "",
        f"The tests fail when a group's median error grows by more than {MARGIN}.",
        "",
        "## Beside the peers",
        "",
        "As published or as measured with the peer's own program.",
        "",
        *peers(comparisons),
        "",
        "## Predicted over measured",
        "",
        "Both as shares of what the peaks allow (memory: weights and states over the whole), one colour "
        "a source, fitted numbers left out; the band is a factor of 1.25 either way.",
        "",
        *(f"![{kind}](accuracy/{kind}.png)\n" for kind in kinds),
        "## The worst ten",
        "",
        *worst(comparisons),
        "",
        "## What constants were fitted to",
        "",
        "Whole-model measurements are split by source: constants may be fitted to these, all others are "
        "evidence. Of the kernel measurements a hashed quarter of the shapes is fitted.",
        "",
        *split(),
        "",
        "## Not predicted",
        "",
        "| kind | numbers | reason |",
        "|---|---:|---|",
        *(f"| {row.kind} | {row.cases:,} | {_cell(row.reason)} |" for row in missing),
        "",
        "## By source",
        "",
        *source_table(row for row in found if row.source != "all"),
    ]
    return "\n".join(lines) + "\n"


def main() -> int:
    """Write the page; with ``--check`` say whether its table is the baseline's."""
    if "--check" in sys.argv[1:]:
        current = group_table(json.loads(BASELINE.read_text("utf-8"))) in FILE.read_text("utf-8")
        print(f"{FILE.name} is {'current' if current else 'out of date: run make docs'}")
        return 0 if current else 1
    from farthing.catalog import own
    from farthing.evidence import outcomes
    from farthing.evidence.accuracy import by_group
    from farthing.evidence.load import all_shipped
    from farthing.evidence.validate import compare

    # The page is about what ships, not about this user's own constants.
    own.ignore()
    comparisons = compare(all_shipped(), jobs=os.cpu_count() or 1)
    rows = [figures(row) for row in by_group(comparisons)]
    FOLDER.mkdir(exist_ok=True)
    BASELINE.write_text("[\n" + ",\n".join(json.dumps(row) for row in rows) + "\n]\n", "utf-8")
    FILE.write_text(page(comparisons, rows, charts(comparisons)), "utf-8")
    Path(outcomes.__file__).with_name(outcomes.FILE).write_bytes(outcomes.packed(comparisons))
    print(f"wrote {FILE}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
