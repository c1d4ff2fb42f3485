"""Write docs/simulation.md: first tokens that users measured beside the simulated ones and the closed form's.

Usage: python docs/generate_simulation.py [--page]  (ten minutes on two cores; --page writes the page again)

Of the shipped measurements of online serving, all that no constant was fitted to.
"""

from __future__ import annotations

import csv
import dataclasses
import os
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np

from farthing.evidence.load import shipped
from farthing.evidence.serving_simulated import Row, median_errors, row_of
from farthing.evidence.split import is_fitted

ROWS = Path(__file__).with_name("simulation.csv")
PAGE = Path(__file__).with_name("simulation.md")
PLACES = 6
"""Digits that are kept of a time."""


def measured() -> list[Row]:
    """All evidence rows, predicted both ways."""
    cases = [case for case in shipped("serving_online") if not is_fitted(case)]
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        found = pool.map(row_of, cases, chunksize=4)
        return [row for row in found if row is not None]


def write_rows(rows: Sequence[Row]) -> None:
    """One line for each row."""
    names = [field.name for field in dataclasses.fields(Row)]
    with ROWS.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(names)
        for row in rows:
            values = [getattr(row, name) for name in names]
            writer.writerow(f"{value:.{PLACES}g}" if isinstance(value, float) else value for value in values)


def read_rows() -> list[Row]:
    """What `write_rows` wrote."""
    with ROWS.open(encoding="utf-8", newline="") as file:
        return [
            Row(
                id=row["id"],
                engine=row["engine"],
                disaggregated=row["disaggregated"] == "True",
                fitted=row["fitted"] == "True",
                users=int(row["users"]),
                measured_s=float(row["measured_s"]),
                closed_form_s=float(row["closed_form_s"]),
                simulated_s=float(row["simulated_s"]),
            )
            for row in csv.DictReader(file)
        ]


def page(rows: Sequence[Row]) -> str:
    """The page of these rows."""
    simulated, closed = median_errors(rows)
    lines = [
        "# Simulated queueing against measurements",
        "",
        "<!-- Written by docs/generate_simulation.py; see `make simulation`. -->",
        "",
        f"Time to the first token of {len(rows):,} measurements of online serving that no constant was "
        f"fitted to: the median error is {simulated:.1%} with the queueing simulated, {closed:.1%} by the "
        "closed form.",
        "",
        "The client is played as it was published: each user sends ten requests one after the other, all "
        "users begin at once, lengths spread between 80% and all of what is stated; the mean time to the "
        "first token counts. Passes are put together as the engine does it, with the limits that the runs' "
        "own scripts set (`src/farthing/evidence/pass_limits.csv`). What differs from the closed form: "
        "nothing about waiting is fitted; what a request, a kernel and a token cost an engine's host, and a "
        "factor on reading, are (`farthing.calibrate.scheduling`, on the sources that may be fitted).",
        "",
        "| engine | workers | rows | simulated: median error | 90% below | bias | closed form: median error "
        "| 90% below | bias |",
        "|---|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        workers = "prompts read apart" if row.disaggregated else "of one kind"
        groups.setdefault((row.engine, workers), []).append(row)
    for (engine, workers), members in [*sorted(groups.items()), (("all", ""), list(rows))]:
        cells = [_errors(members, name) for name in ("simulated_s", "closed_form_s")]
        lines.append(f"| {engine} | {workers} | {len(members):,} | {' | '.join(cells)} |")
    worst = sorted(rows, key=lambda row: -abs(np.log(row.simulated_s / row.measured_s)))[:10]
    lines += [
        "",
        "*bias*: exp of the mean of log(predicted / measured).",
        "",
        "## The worst ten",
        "",
        "| row | users | measured [s] | simulated [s] | closed form [s] |",
        "|---|---:|---:|---:|---:|",
    ]
    lines += [
        f"| {row.id} | {row.users:,} | {row.measured_s:.3g} | {row.simulated_s:.3g} "
        f"| {row.closed_form_s:.3g} |"
        for row in worst
    ]
    return "\n".join(lines) + "\n"


def _errors(rows: Sequence[Row], name: str) -> str:
    ratio = np.array([getattr(row, name) / row.measured_s for row in rows])
    error = np.abs(ratio - 1)
    return f"{np.median(error):.0%} | {np.percentile(error, 90):.0%} | {np.exp(np.log(ratio).mean()):.2f}"


def main() -> None:
    """Predict unless the page alone is asked for, and write it."""
    if "--page" not in sys.argv[1:]:
        write_rows(measured())
    PAGE.write_text(page(read_rows()), "utf-8")


if __name__ == "__main__":
    main()
