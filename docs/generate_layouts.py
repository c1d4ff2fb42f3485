"""Write docs/layouts.md: the layouts that published training runs chose beside the best that a search finds.

Usage: python docs/generate_layouts.py [--page]  (some minutes on two cores; --page writes the page again)
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from farthing import api
from farthing.errors import FarthingError
from farthing.evidence.fine_tuning import is_fine_tuning, is_small
from farthing.evidence.load import all_shipped
from farthing.evidence.training_rows import Row, training_row
from farthing.records.comparison import Case
from farthing.records.plan import TrainingPlan
from farthing.report.estimate import split
from farthing.search.training import search_training

ROWS = Path(__file__).with_name("layouts.csv")
PAGE = Path(__file__).with_name("layouts.md")
KEPT = (
    "flash_attention",
    "loss_chunks",
    "weight_format",
    "compute_format",
    "gradient_format",
    "engine",
    "offload",
    "overlap_data_parallel",
    "overlap_tensor_parallel",
    "overlap_expert_parallel",
)
"""Fields of a published plan that a search keeps: what the software does, not how the work is split."""

RATES = ("tokens_per_s_per_gpu", "tflops_per_gpu", "mfu", "hfu")
CLOSE = 1.1
EDGES = (1.001, 1.05, 1.1, 1.2, 1.5, np.inf)


@dataclass(frozen=True)
class Layout:
    """A layout that was measured, and a figure of its speed: more is better within a question."""

    plan: TrainingPlan
    speed: float


@dataclass(frozen=True)
class Question:
    """One model, cluster, batch and software, with the layouts that a source measured of it."""

    source: str
    row: Row
    layouts: tuple[Layout, ...]


def speed_of(case: Case) -> float:
    """A figure that grows with the speed of a run; 0 where the row has none."""
    cells = case.cells
    if cells.get("step_time_s"):
        return 1 / float(cells["step_time_s"])
    return next((float(cells[name]) for name in RATES if cells.get(name)), 0.0)


def questions() -> list[Question]:
    """Pre-training on eight cards or more, as far as sources print the whole layout."""
    found: dict[Any, tuple[Row, dict[TrainingPlan, float]]] = {}
    for case in all_shipped():
        if case.kind != "training" or is_fine_tuning(case) or is_small(case):
            continue
        try:
            row = training_row(case)
        except FarthingError:
            continue
        if not row.stated or row.cluster.count < 8 or not speed_of(case):
            continue
        software = tuple(getattr(row.plan, name) for name in KEPT)
        key = (case.source, row.model, row.cluster, row.workload, software)
        _, layouts = found.setdefault(key, (row, {}))
        layouts[row.plan] = max(layouts.get(row.plan, 0.0), speed_of(case))
    return [
        Question(key[0], row, tuple(Layout(plan, speed) for plan, speed in layouts.items()))
        for key, (row, layouts) in found.items()
    ]


def words(plan: TrainingPlan) -> str:
    """A plan in few words."""
    parts = [split(plan), f"micro-batch {plan.micro_batch_size}"]
    if plan.interleave > 1:
        parts.append(f"interleave {plan.interleave}")
    elif plan.pp > 1:
        parts.append(plan.schedule)
    if plan.dp * plan.cp > 1:
        parts.append(f"ZeRO {plan.zero_stage}")
    if plan.recompute != "none":
        some = plan.recompute == "full" and plan.recompute_share < 1
        parts.append(f"recompute {plan.recompute}" + (f" {plan.recompute_share:.0%}" if some else ""))
    return ", ".join(parts)


def answer(question: Question) -> dict[str, Any] | None:
    """The fastest measured layout and the best found, predicted alike; None where nothing can be asked."""
    row = question.row
    given = {name: getattr(row.plan, name) for name in KEPT}
    try:
        predicted = [
            api.train(row.model, row.cluster, workload=row.workload, plan=one.plan)
            for one in question.layouts
        ]
        best = search_training(row.model, row.cluster, row.workload, given, top=1).best
    except FarthingError:
        return None
    speeds = [one.speed for one in question.layouts]
    chosen = int(np.argmax(speeds))
    picked = int(np.argmin([one.step_s for one in predicted]))
    return {
        "source": question.source,
        "model": row.model.id,
        "cluster": row.cluster.name,
        "batch": row.workload.global_batch_size,
        "sequence": row.workload.sequence_tokens,
        "layouts": len(question.layouts),
        "published": words(question.layouts[chosen].plan),
        "published_s": predicted[chosen].step_s,
        "fits": predicted[chosen].fits,
        "best": words(best.plan),
        "best_s": best.step_s,
        "regret": speeds[chosen] / speeds[picked] - 1,
    }


def _spread(ratios: Sequence[float]) -> Iterator[str]:
    values = np.array(ratios)
    low = 0.0
    yield "| published over best | questions | share |"
    yield "|---|---|---|"
    for high in EDGES:
        count = int(((values > low) & (values <= high)).sum())
        name = f"to {high:g}" if np.isfinite(high) else f"above {low:g}"
        yield f"| {name} | {count} | {count / len(values):.0%} |"
        low = high


INTRODUCTION = """\
# What published runs chose, and what a search finds

Written by `make layouts`. Each question is a model, cluster, batch and software of pre-training on eight
cards or more, for which a source prints the whole layout; where it measures several layouts, the fastest is
what it chose. Formats, engine and attention are kept; sizes, schedules, recomputation, sharding and the
order of ranks are searched, with a twentieth of each card left free. Both plans are predicted, and
predictions carry errors of about a tenth: a ratio below 1.1 is no reason to change a run. Older software
shards no optimizer, some recompute everything on purpose, and scans measure layouts that nobody would
choose: these lie above 1.1 for that reason.
"""

RANKING = """\
## Does the ranking hold?

Of the layouts that a source measured of one question, at least three: the one that farthing predicts to be
the fastest, and how much slower than the fastest it was measured to be.
"""


def page(rows: Sequence[dict[str, Any]]) -> Iterator[str]:
    """Lines of the page."""
    ratios = [row["published_s"] / row["best_s"] for row in rows]
    close = sum(ratio <= CLOSE for ratio in ratios)
    sources = sorted({row["source"] for row in rows})
    misfits = sum(not row["fits"] for row in rows)
    low, middle, high = np.quantile(ratios, (0.25, 0.5, 0.75))
    yield INTRODUCTION
    yield f"{len(rows)} questions of {len(sources)} sources, all in [layouts.csv](layouts.csv)."
    yield f"For {close} ({close / len(rows):.0%}) the published layout is within 10% of the best;"
    yield "for the others a better one that fits is named."
    yield f"Median ratio {middle:.3f}, quartiles {low:.3f} and {high:.3f}."
    yield f"{misfits} published layouts do not fit by the prediction; their ratio may be below 1."
    yield ""
    yield from _spread(ratios)
    yield ""
    yield "## By source"
    yield ""
    yield "| source | questions | median ratio | within 10% |"
    yield "|---|---|---|---|"
    for source in sources:
        own = [ratio for ratio, row in zip(ratios, rows, strict=True) if row["source"] == source]
        within = sum(ratio <= CLOSE for ratio in own) / len(own)
        yield f"| {source} | {len(own)} | {np.median(own):.3f} | {within:.0%} |"
    yield ""
    yield RANKING
    yield "| source | questions | layouts | the fastest itself | median loss | nine in ten lose less than |"
    yield "|---|---|---|---|---|---|"
    for source in [*sources, "all"]:
        scans = [row for row in rows if row["layouts"] >= 3 and (source == "all" or row["source"] == source)]
        if scans:
            losses = [row["regret"] for row in scans]
            right = sum(loss < 1e-9 for loss in losses) / len(scans)
            count = sum(row["layouts"] for row in scans)
            yield (
                f"| {source} | {len(scans)} | {count} | {right:.0%} | {np.median(losses):.1%} | "
                f"{np.quantile(losses, 0.9):.1%} |"
            )
    yield ""
    yield "## The farthest where a source chose one layout"
    yield ""
    yield "| question | published | best | ratio |"
    yield "|---|---|---|---|"
    single = [(ratio, row) for ratio, row in zip(ratios, rows, strict=True) if row["layouts"] == 1]
    for ratio, row in sorted(single, key=lambda pair: -pair[0])[:12]:
        what = f"{row['model']} on {row['cluster']}, {row['batch']} x {row['sequence']}"
        yield f"| {what} | {row['published']} | {row['best']} | {ratio:.2f} |"


def written_rows() -> list[dict[str, Any]]:
    """The rows of layouts.csv."""
    with ROWS.open(newline="", encoding="utf-8") as file:
        return [
            {
                **row,
                "layouts": int(row["layouts"]),
                "fits": row["fits"] == "True",
                **{name: float(row[name]) for name in ("published_s", "best_s", "regret")},
            }
            for row in csv.DictReader(file)
        ]


def main() -> None:
    """Ask all questions and write the rows and the page; with ``--page`` the page alone."""
    if "--page" not in sys.argv:
        with ProcessPoolExecutor(2) as pool:
            found = [row for row in pool.map(answer, questions(), chunksize=1) if row is not None]
        with ROWS.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, found[0])
            writer.writeheader()
            for row in found:
                writer.writerow({k: f"{v:.5g}" if isinstance(v, float) else v for k, v in row.items()})
    PAGE.write_text("\n".join(page(written_rows())) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
