"""What the search of builds finds is the best there is: plain loops over everything find nothing better."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from farthing.design.serving import OBJECTIVES, Search
from tests.property.plain_builds import best
from tests.property.random_shops import Question, questions


def found(question: Question) -> float | None:
    """The best objective that the search finds; less is better."""
    search = Search(
        question.shop, question.tasks, question.terms, ways=question.ways, objective=question.objective
    )
    builds = search.best(1)
    if not builds:
        return None
    value = builds[0].figures[OBJECTIVES[question.objective]]
    return -value if question.objective == "tokens-per-s" else value


@settings(max_examples=100)
@given(questions())
def test_nothing_is_better_than_what_is_found(question: Question) -> None:
    plain = best(question.shop, question.tasks, question.terms, question.ways, question.objective)
    value = found(question)
    if plain is None:
        assert value is None
        return
    assert value == pytest.approx(plain[0], rel=2e-9), plain[1].words
