"""What the search of builds finds is the best there is: plain loops over everything find nothing better."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from tests.property.plain_builds import best, builds, keeps, value_of
from tests.property.random_shops import Question, questions

from farthing.design import serving
from farthing.design.kits import KitFinder
from farthing.design.machines import machines
from farthing.design.networks import networks
from farthing.design.pricing import Kit
from farthing.design.serving import OBJECTIVES, Found, Search
from farthing.records.design import DesignObjective
from farthing.records.hardware import Accelerator

CLOSE = 1e-8
"""Interest of nothing is counted as one of 1e-9 a year, and figures are rounded to ten digits."""


def search(question: Question, front: Sequence[DesignObjective] = ()) -> Search:
    return Search(
        question.shop,
        question.tasks,
        question.terms,
        ways=question.ways,
        objective=question.objective,
        front=front,
    )


def figure(build: Found, objective: DesignObjective) -> float:
    """Less is better."""
    value = build.figures[OBJECTIVES[objective]]
    return -value if objective == "tokens-per-s" else value


def found(question: Question) -> float | None:
    """The best objective that the search finds."""
    chosen = search(question).best(1)
    return figure(chosen[0], question.objective) if chosen else None


class EveryKit(KitFinder):
    """All kits, whether another beats them or not."""

    def _worth(self, card: Accelerator) -> Iterator[Kit]:
        for machine in machines(self.shop, card, self.ownership):
            yield Kit(machine=machine, network=None, spans=False)
            for network in networks(self.shop, machine) if self.hosts > 1 else ():
                for spans in (False, True):
                    yield Kit(machine=machine, network=network, spans=spans)


@settings(max_examples=150)
@given(questions())
def test_nothing_is_better_than_what_is_found(question: Question) -> None:
    plain = best(question.shop, question.tasks, question.terms, question.ways, question.objective)
    value = found(question)
    if plain is None:
        assert value is None
        return
    assert value == pytest.approx(plain[0], rel=CLOSE), plain[1].words


@settings(max_examples=60)
@given(questions(objectives=("usd", "power")), st.sampled_from((("usd", "tpot"), ("usd", "power", "ttft"))))
def test_nothing_beats_a_front(question: Question, objectives: tuple[DesignObjective, ...]) -> None:
    front = search(question, objectives).front(objectives)
    points = [[figure(build, name) for name in objectives] for build in front]
    for one in builds(question.shop, question.tasks, question.terms, question.ways):
        if not keeps(one, question.terms):
            continue
        values = [value_of(one, name) for name in objectives]
        assert any(
            all(own <= value * (1 + CLOSE) for own, value in zip(point, values, strict=True))
            for point in points
        ), f"{one.words}: nothing on the front is as good"
    for point in points:
        others = [other for other in points if other is not point]
        assert not any(all(map(float.__lt__, other, point)) for other in others)


@settings(max_examples=100)
@given(questions(), st.data())
def test_a_lower_price_never_makes_the_best_dearer(question: Question, data: st.DataObject) -> None:
    value = found(question)
    assume(value is not None)
    shop = question.shop
    item = data.draw(
        st.sampled_from((*shop.given_usd, *(("rent", name) for name in shop.given_usd_per_hour)))
    )
    share = data.draw(st.sampled_from((0.0, 0.5, 0.9)))
    if isinstance(item, tuple):
        cheaper = shop.at_price(item[1], shop.given_usd_per_hour[item[1]] * share, "rent")
    else:
        cheaper = shop.at_price(item, shop.given_usd[item] * share, "own")
    after = found(question._replace(shop=cheaper))
    assert value is not None
    assert after is not None
    assert after <= value + abs(value) * CLOSE


@settings(max_examples=80)
@given(questions(), st.sampled_from((("usd", "tpot"), ("capital", "power", "ttft"))))
def test_kits_that_are_dropped_are_not_missed(
    question: Question, objectives: tuple[DesignObjective, ...]
) -> None:
    value = found(question)
    front = search(question, objectives).front(objectives)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(serving, "KitFinder", EveryKit)
        every = found(question)
        whole = search(question, objectives).front(objectives)
    assert value == (None if every is None else pytest.approx(every, rel=CLOSE))
    points = [[figure(build, name) for name in objectives] for build in front]
    for build in whole:
        values = [figure(build, name) for name in objectives]
        assert any(
            all(own <= value + abs(value) * CLOSE for own, value in zip(point, values, strict=True))
            for point in points
        )
