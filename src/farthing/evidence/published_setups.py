"""What ran behind rows of InferenceX that state neither workers nor draft tokens.

InferenceX publishes what it runs: for each model, system, engine, precision, load and number of users the
workers that read prompts, those that decode, and the drafts, with the days on which it was so.
The tables that were drawn from its results print the load and the users, but drop much of the rest.
"""

from __future__ import annotations

import csv
import functools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from importlib import resources
from typing import Final

from farthing.evidence.workers import Workers, split

COLLECTIONS: Final = re.compile(r"source_file=20|db-dump/20|source_file=[^/;]*-gap-analysis\.csv")
"""How rows begin that were drawn from its results: tables of its web page, its database, excerpts."""

TRIAL: Final = timedelta(days=31)
"""Runs of a set-up begin at most so long before it is merged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SetUp:
    """One published way to run a load, and when; ``draft_tokens`` is None where no file says how many.

    ``decode_batch`` is the most sequences that a place of a worker decodes at a time, 0 where none is
    published; ``poll_steps`` the steps between two looks at the queue of requests; ``prefill_tp`` and
    ``decode_tp`` the tensor parallel sizes as printed, which the tables repeat; ``images`` the containers
    without their registry.
    """

    draft_tokens: int | None
    prefill: Workers | None
    decode: Workers
    decode_batch: int
    poll_steps: int
    prefill_tp: int
    decode_tp: int
    since: date
    until: date
    images: frozenset[str]

    @property
    def cards(self) -> int:
        """Of the whole deployment."""
        roles = (self.decode, self.prefill) if self.prefill else (self.decode,)
        return sum(one.count * one.cards for one in roles)


SAME: Final = {"deepseek-r1": "deepseek-v3"}
"""Models of one network, by the name that the table has."""

Key = tuple[str, str, str, str, int, int, int]


@functools.cache
def published() -> Mapping[Key, Sequence[SetUp]]:
    """All set-ups by model, system, engine, precision, prompt, answer and users.

    Facts from the history of configs/nvidia-master.yaml of SemiAnalysisAI/InferenceX up to May 2026, and from
    the recipes and scripts that it names: draft tokens, sequences at a time and steps between polls.
    Before that file knew GB200, runners/launch_gb200-nv.sh did; TensorRT-LLM's sweeps on it before February
    2026, and those on H200, list the users of one worker of several; here stand those of all.
    """
    found: dict[Key, list[SetUp]] = {}
    text = (resources.files("farthing.evidence") / "setups.csv").read_text("utf-8")
    for row in csv.DictReader(text.splitlines()):
        apart = bool(row["prefill_workers"])
        one = SetUp(
            draft_tokens=int(row["draft_tokens"]) if row["draft_tokens"] else None,
            prefill=_workers(row, "prefill") if apart else None,
            decode=_workers(row, "decode"),
            decode_batch=int(row["decode_batch"] or 0),
            poll_steps=int(row["poll_steps"] or 1),
            prefill_tp=int(row["prefill_tp"] or 0),
            decode_tp=int(row["decode_tp"]),
            since=date.fromisoformat(row["since"]),
            until=date.fromisoformat(row["until"]) if row["until"] else date.max,
            images=frozenset(row["images"].split()),
        )
        for users in row["concurrencies"].split():
            key = (
                row["model"],
                row["system"],
                row["backend"],
                row["precision"],
                int(row["isl"]),
                int(row["osl"]),
                int(users),
            )
            found.setdefault(key, []).append(one)
    return found


def _workers(row: Mapping[str, str], role: str) -> Workers:
    return split(
        int(row[f"{role}_cards"]),
        ep=int(row[f"{role}_ep"]),
        attention_dp=row[f"{role}_dp"] == "1",
        count=int(row[f"{role}_workers"]),
    )


def setups_of(cells: Mapping[str, str], model: str) -> list[SetUp]:
    """The published set-ups of a model that a row may have run: none where it is of another collection.

    Of the day on which it was measured, if that is said; where there was none yet, the next.
    """
    said = cells.get("silicon_data_source", "")
    users, day, image = (
        re.search(pattern, said)
        for pattern in (
            r"concurrency=(\d+)",
            r"measured=(\d{4}-\d\d-\d\d)",
            r"image=(?:[^;]*[/#])?([^;/#]+)",
        )
    )
    if not (users and COLLECTIONS.match(said)):
        return []
    key = (
        SAME.get(model, model),
        cells.get("system", ""),
        cells.get("backend", ""),
        cells.get("precision", ""),
        _whole(cells, "isl"),
        _whole(cells, "osl"),
        int(users[1]),
    )
    known = [one for one in published().get(key, ()) if _agrees(one, cells)]
    if image:
        known = [one for one in known if image[1].lower() in one.images] or known
    if not day:
        return known
    measured = date.fromisoformat(day[1])
    if current := [one for one in known if one.since <= measured < one.until]:
        return current
    later = [one for one in known if measured < one.since <= measured + TRIAL]
    return [one for one in later if one.since == min(other.since for other in later)]


def _agrees(setup: SetUp, cells: Mapping[str, str]) -> bool:
    """Whether a row repeats the printed sizes; older rows print all cards of a deployment instead."""
    if cells.get("mode", "agg") == "agg":
        size = _whole(cells, "tp_size")
        return size == setup.cards if setup.prefill else True
    if _whole(cells, "decode_num_workers"):
        return setup.prefill is not None
    sizes = _whole(cells, "prefill_tp_size"), _whole(cells, "decode_tp_size")
    return setup.prefill is not None and sizes in (
        (setup.prefill_tp, setup.decode_tp),
        (setup.cards, setup.cards),
    )


def _whole(cells: Mapping[str, str], column: str) -> int:
    return int(float(cells.get(column) or 0))
