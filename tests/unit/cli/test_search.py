"""What ``train`` and ``infer`` make of a search, beside the text that the whole commands are tested on."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

import farthing
from farthing import catalog
from farthing.catalog.cluster import parse_cluster
from farthing.cli.search import answer, refuse_misfit
from farthing.errors import Infeasible, InvalidInput
from farthing.planning import answer_record
from farthing.records.search import SearchResult

MODEL, CLUSTER = catalog.model("gpt-3-1.3b"), parse_cluster("1x4:rtx-4090")
SMALL: dict[str, Any] = {
    "tp": (1, 2),
    "cp": 1,
    "offload": "none",
    "recompute": ("none", "full"),
    "zero_stage": 1,
    "global_batch_size": 16,
}


def asked(task: Any = "training", *, explain: bool = False, **options: Any) -> Any:
    options.setdefault("search", True)
    return answer(task, MODEL, CLUSTER, options, explain=explain)


def test_the_best_plan_is_the_librarys() -> None:
    estimate, found = asked(**SMALL, objective="memory", top=2)
    library = farthing.search(MODEL, CLUSTER, task="training", **SMALL, objective="memory", top=2)
    assert (estimate, found) == (library.best, library.result)
    assert len(found.best) == 2


def test_options_that_are_left_out_are_no_question() -> None:
    assert asked(**SMALL, objective=None, run_s=None, engine=None) == asked(**SMALL)


def test_a_front_is_returned_beside_the_best() -> None:
    _, found = asked(**SMALL, front=("step", "memory"))
    assert len(found.front) > 1


def test_an_explanation_is_of_the_best_plan_alone() -> None:
    plain, _ = asked(**SMALL, usd_per_accelerator=1000.0)
    estimate, found = asked(explain=True, **SMALL, usd_per_accelerator=1000.0)
    assert estimate.terms
    assert dataclasses.replace(estimate, terms=()) == plain
    assert not any(choice.training.terms for choice in found.best)
    # Paper arithmetic is derived as such.
    ideal, _ = asked(explain=True, **SMALL, ideal=True)
    assert ideal.step_s < plain.step_s
    step = next(term for term in ideal.terms if "step" in term.name)
    assert step.value == pytest.approx(ideal.step_s)


def test_without_a_search_one_plan_is_evaluated() -> None:
    estimate, found = asked(search=False, tp=2, global_batch_size=16)
    assert found is None
    assert estimate == farthing.train(MODEL, CLUSTER, tp=2, global_batch_size=16)
    for more in ({"objective": "usd"}, {"top": 3}, {"front": ("step", "usd")}, {"headroom_share": 0.1}):
        with pytest.raises(InvalidInput, match="--no-search evaluates one plan"):
            asked(search=False, **more)
    with pytest.raises(InvalidInput, match="--no-search evaluates one plan"):
        asked(search=False, tp=(1, 2))
    served, _ = asked("inference", search=False, pp=2, stage_layers=(10, 14))
    assert served.plan.stage_layers == (10, 14)


def test_serving_without_a_wish_is_of_one_sequence() -> None:
    estimate, _ = asked("inference")
    assert estimate.workload.batch_size == 1
    estimate, _ = asked("inference", objective="tokens-per-s")
    assert estimate.workload.batch_size > 1
    estimate, _ = asked("inference", batch_size=4)
    assert estimate.workload.batch_size == 4


def test_json_has_the_search_beside_the_fields() -> None:
    estimate, found = asked(**SMALL)
    told = answer_record(estimate, found, None)
    assert told["search"] is found
    assert told["step_s"] == estimate.step_s
    assert "launch" not in told
    assert answer_record(estimate, None, None) is estimate


def missed(**limits: Any) -> tuple[Any, SearchResult]:
    estimate, found = asked(**SMALL, **limits)
    assert not found.best
    assert estimate == found.miss.choice.training
    return estimate, found


def test_nothing_that_keeps_the_limits_ends_with_what_would() -> None:
    estimate, found = missed(usd_per_million_tokens=1e-9)
    assert estimate.fits
    with pytest.raises(Infeasible, match=r"keeps the limits: the nearest costs .*; would help: a limit of"):
        refuse_misfit(estimate, found)


def test_nothing_that_fits_ends_with_what_is_missing() -> None:
    large = catalog.model("llama-2-70b")
    options = {"search": True, "offload": "none", "recompute": "full", "global_batch_size": 8}
    estimate, found = answer("training", large, CLUSTER, options, explain=False)
    assert not found.best  # type: ignore[union-attr]
    with pytest.raises(Infeasible, match=r"llama-2-70b on 1x4:rtx-4090 does not fit: needs .* more a card"):
        refuse_misfit(estimate, found)


def test_what_fits_is_no_error() -> None:
    refuse_misfit(*asked(**SMALL))
    refuse_misfit(*asked(search=False, tp=2, global_batch_size=16))
