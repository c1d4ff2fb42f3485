"""Rows that share a sheet are evaluated as they are alone, and so are plans picked by their words."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from farthing import catalog
from farthing.catalog.cluster import parse_cluster
from farthing.estimate.training import TrainingRun, training_run
from farthing.records.workload import TrainingWorkload
from farthing.search.training_columns import Block, beginnings
from farthing.search.training_evaluated import Evaluated
from farthing.search.training_sheet import Sheet
from farthing.search.training_space import Rows, training_space

LOAD = TrainingWorkload(sequence_tokens=4096, global_batch_size=32)


def setup(name: str, **given: Any) -> tuple[TrainingRun, list[Rows]]:
    model, cluster = catalog.model(name), parse_cluster("2x4:h100-sxm@ib-ndr")
    space = training_space(model, cluster, LOAD, given)
    return training_run(model, cluster, LOAD, space.variants[0], ideal=False), space.rows


def same(one: Evaluated, other: Evaluated) -> bool:
    """All that a search asks of plans."""
    return one.words == other.words and all(
        np.array_equal(getattr(one, name), getattr(other, name))
        for name in ("least_s", "step_s", "total_bytes", "offloaded_bytes")
    )


@pytest.mark.parametrize("name", ["llama-2-7b", "deepseek-v2-lite"])
def test_rows_of_a_sheet_are_as_they_are_alone(name: str) -> None:
    run, groups = setup(name, pp=[1, 2], cp=1)
    for rows in groups:
        sheet, cut = Sheet(run, rows), len(rows) // 3
        for start, part in ((0, slice(0, cut)), (cut, slice(cut, None))):
            alone = Block(run, rows.part(part)).evaluated()
            shared = Block(run, rows.part(part), sheet, start).evaluated()
            assert all(same(one, other) for one, other in zip(alone, shared, strict=True))


def test_parts_make_the_whole() -> None:
    _, (rows,) = setup("llama-2-7b", pp=1)
    whole = Rows.together([rows.part(slice(0, 5)), rows.part(slice(5, None))])
    assert len(whole) == len(rows)
    assert whole.tp.tolist() == rows.tp.tolist()


def test_plans_are_picked_by_their_words() -> None:
    run, (rows,) = setup("llama-2-7b", pp=4)
    every = list(Block(run, rows).evaluated())
    picked = every[::7]
    found = list(Block(run, rows).evaluated(beginnings(one.words for one in picked)))
    assert len(found) == len(picked) < len(every)
    assert all(same(one, other) for one, other in zip(found, picked, strict=True))


def test_the_least_time_is_no_more_than_any() -> None:
    run, groups = setup("mixtral-8x7b", pp=[1, 2], tp=[2, 4])
    for rows in groups:
        for plans in Block(run, rows).evaluated():
            assert (plans.least_s[:, None] <= plans.step_s).all()
            if plans.words["offload"] != "optimizer+weights":
                assert plans.least_s.tolist() == plans.step_s.min(axis=1).tolist()
