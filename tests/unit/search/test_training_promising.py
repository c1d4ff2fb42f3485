"""A search that works out few times finds what one that works out all of them does."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from farthing import catalog
from farthing.catalog.cluster import parse_cluster
from farthing.estimate.cost import CostBasis
from farthing.estimate.training import TrainingRun, training_run
from farthing.records.search import Limits
from farthing.records.workload import TrainingWorkload
from farthing.search import training, training_promising
from farthing.search.table import Search
from farthing.search.training import search_training
from farthing.search.training_bound import work_of
from farthing.search.training_columns import Block
from farthing.search.training_promising import promises
from farthing.search.training_question import Question
from farthing.search.training_ranking import rank
from farthing.search.training_room import room
from farthing.search.training_space import Rows, training_space

LOAD = TrainingWorkload(sequence_tokens=2048, global_batch_size=32)
LORA = dataclasses.replace(LOAD, lora_rank=16)
PREDICTING = dataclasses.replace(LOAD, predictors=1)
RIG = "2x4:h100-sxm@ib-ndr"

ASKED: list[tuple[str, str, TrainingWorkload, dict[str, Any], dict[str, Any]]] = [
    ("llama-2-7b", RIG, LOAD, {}, {}),
    ("llama-2-7b", RIG, LORA, {"cp": 1}, {"top": 1}),
    ("llama-2-7b", RIG, LOAD, {"cp": 1, "flash_attention": False}, {"top": 100}),
    ("llama-2-7b", RIG, LOAD, {"offload": "none", "compute_format": ["bf16", "fp8"]}, {"top": 20}),
    ("llama-2-7b", RIG, LOAD, {"schedule": ["gpipe", "zero-bubble"], "cp": 1}, {}),
    ("llama-2-7b", RIG, LOAD, {"schedule": "gpipe", "rank_order": "tp-cp-pp-dp"}, {}),
    ("llama-2-13b", RIG, LOAD, {"cp": 1}, {"limits": Limits(headroom_share=0.7)}),
    ("llama-2-70b", "1x4:rtx-4090", LOAD, {"cp": 1}, {}),
    ("llama-2-7b", "1x4:h100-sxm@ib-ndr+1x4:a100-sxm-80gb@ib-ndr", LOAD, {"cp": 1}, {}),
    ("deepseek-v2-lite", RIG, LOAD, {"cp": 1}, {}),
    ("deepseek-v2-lite", RIG, PREDICTING, {"cp": 1, "tp": [1, 2]}, {"ideal": True}),
    ("mixtral-8x7b", RIG, LOAD, {"cp": [1, 2], "micro_batch_size": 1}, {}),
]


def setup(name: str, cluster: str, load: TrainingWorkload, given: Any) -> tuple[Question, list[Rows]]:
    model, machines = catalog.model(name), parse_cluster(cluster)
    space = training_space(model, machines, load, given)
    run = training_run(model, machines, load, space.variants[0], ideal=False)
    question = Question(
        run=run, cards=8, objective="step", front=(), limits=Limits(), basis=CostBasis(), ways=()
    )
    return question, space.rows


def asked(number: int) -> Search:
    name, cluster, load, given, more = ASKED[number]
    return search_training(catalog.model(name), parse_cluster(cluster), load, given, **more)


def same_tables(one: Search, other: Search) -> bool:
    return all(
        np.array_equal(column, other.table[name]) for name, column in one.table.columns.items()
    ) and len(one.table.columns) == len(other.table.columns)


@pytest.mark.parametrize("number", range(len(ASKED)))
def test_both_find_the_same(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    found = asked(number)
    monkeypatch.setattr(training, "promises", lambda question: False)
    every = asked(number)
    assert found.result == every.result
    assert found.more_memory == every.more_memory
    assert same_tables(found, every)


def test_few_scouts_find_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    found = asked(0)
    monkeypatch.setattr(training_promising, "SCOUTS", 1)
    assert asked(0).result == found.result


def test_times_are_worked_out_of_few(monkeypatch: pytest.MonkeyPatch) -> None:
    ranked: list[int] = []

    def counting(question: Question, rows: Rows, **more: Any) -> Any:
        ranked.append(len(rows))
        return rank(question, rows, **more)

    monkeypatch.setattr(training_promising, "rank", counting)
    found = search_training(catalog.model("llama-2-7b"), parse_cluster("8x8:h100-sxm@ib-ndr"), LOAD, {})
    assert 0 < sum(ranked) < len(found.table) / 2


@pytest.mark.parametrize(
    ("more", "answer"),
    [
        ({}, True),
        ({"objective": "memory"}, False),
        ({"front": ("step", "memory")}, False),
        ({"limits": Limits(headroom_share=0.5)}, True),
        ({"limits": Limits(run_s=1.0)}, False),
        ({"limits": Limits(run_usd=1.0)}, False),
        ({"limits": Limits(usd_per_million_tokens=1.0)}, False),
    ],
)
def test_questions_that_need_all_times(more: dict[str, Any], answer: bool) -> None:
    question, _ = setup("llama-2-7b", "1x1:h100-sxm", LOAD, {})
    assert promises(dataclasses.replace(question, **more)) is answer


@pytest.mark.parametrize(("name", "cluster", "load", "given"), [one[:4] for one in ASKED])
def test_no_step_is_below_its_bound(
    name: str, cluster: str, load: TrainingWorkload, given: dict[str, Any]
) -> None:
    question, groups = setup(name, cluster, load, given)
    for rows, work in zip(groups, work_of(question.run, groups), strict=True):
        micro_batches = load.global_batch_size / (rows.dp * rows.micro_batch_size)
        for pipeline in rows.pipelines:
            bound = work.least_s(pipeline, rows.pp, micro_batches)
            own = dataclasses.replace(rows, pipelines=(pipeline,))
            for plans in Block(question.run, own).evaluated():
                assert (bound[plans.rows] <= plans.least_s).all()


@pytest.mark.parametrize("room_bytes", [10e9, 30e9, 60e9, np.inf])
@pytest.mark.parametrize("host_bytes", [10e9, 40e9, np.inf])
@pytest.mark.parametrize(("name", "pp"), [("llama-2-7b", [1, 4]), ("deepseek-v2-lite", [1, 3])])
def test_plans_are_counted_as_they_are_one_by_one(
    name: str, pp: list[int], host_bytes: float, room_bytes: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = "2x4:h100-sxm@ib-ndr" if name == "llama-2-7b" else "3x2:h100-sxm@ib-ndr"
    load = dataclasses.replace(LOAD, global_batch_size=24)
    question, groups = setup(name, cluster, load, {"pp": pp, "cp": 1, "dp": [1, 2, 4]})
    monkeypatch.setattr(TrainingRun, "capacity_bytes", property(lambda run: room_bytes))
    monkeypatch.setattr(TrainingRun, "host_room_bytes", property(lambda run: host_bytes))
    for rows in groups:
        found, alone = room(question, rows), rank(question, rows)
        assert (found.evaluated, found.fitting) == (alone.evaluated, alone.fitting)
        assert found.broken == alone.broken
        assert found.rows[np.isfinite(alone.best)].all()
