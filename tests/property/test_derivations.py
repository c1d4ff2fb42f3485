"""A derivation is the computation: tracing changes no value, and each term says how its number was made."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import farthing
from farthing.catalog.references import references
from farthing.records.term import Term

NAMES = {"max": max, "min": min, "ceil": math.ceil, "floor": math.floor, "log2": math.log2, "abs": abs}


def plain(estimate: Any) -> Any:
    return dataclasses.replace(estimate, terms=())


def walk(terms: tuple[Term, ...]) -> Iterator[Term]:
    for term in terms:
        yield term
        yield from walk(term.terms)


def worked_out(numbers: str) -> float:
    """The value of an expression with the numbers put in."""
    assert re.fullmatch(r"[0-9a-z.,()+\-/×^ ]+", numbers), numbers
    expression = numbers.replace("×", "*").replace("^", "**").replace(" mod ", "%")
    return float(eval(expression, {"__builtins__": {}}, NAMES))


def largest_addend(term: Term) -> float:
    """Size against which four printed digits round: what a difference subtracts may be larger than it."""
    return max([abs(term.value), *(abs(part.value) for part in term.terms)])


def check(estimate: Any, tops: list[float]) -> None:
    assert [term.value for term in estimate.terms] == pytest.approx(tops, rel=1e-12)
    for term in walk(estimate.terms):
        assert term.name
        assert math.isfinite(term.value)
        assert term.reference in ("", *references())
        if term.numbers:
            slack = 2e-3 * (largest_addend(term) if " - " in term.numbers else abs(term.value))
            assert abs(worked_out(term.numbers) - term.value) <= slack, term


@settings(max_examples=60)
@given(data=st.data(), ideal=st.booleans())
def test_serving(inference_cases: Any, data: st.DataObject, ideal: bool) -> None:
    model, cluster, workload, plan = data.draw(inference_cases)
    drafts = data.draw(st.sampled_from((0, 3)))
    workload = dataclasses.replace(workload, draft_tokens=drafts)
    told = farthing.infer(model, cluster, workload=workload, plan=plan, ideal=ideal, explain=True)
    assert plain(told) == farthing.infer(model, cluster, workload=workload, plan=plan, ideal=ideal)
    check(told, [told.memory.total_bytes, told.ttft_s, told.tpot_s, told.tokens_per_s])


@settings(max_examples=60)
@given(data=st.data(), ideal=st.booleans())
def test_training(training_cases: Any, data: st.DataObject, ideal: bool) -> None:
    model, cluster, workload, plan = data.draw(training_cases)
    workload = dataclasses.replace(workload, lora_rank=data.draw(st.sampled_from((0, 16))))
    told = farthing.train(model, cluster, workload=workload, plan=plan, ideal=ideal, explain=True)
    assert plain(told) == farthing.train(model, cluster, workload=workload, plan=plan, ideal=ideal)
    check(told, [told.memory.total_bytes, told.step_s, told.tokens_per_s, told.mfu, told.hfu])
