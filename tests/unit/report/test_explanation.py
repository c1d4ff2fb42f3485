"""Derivations on paper: order, what is left out, what is said once."""

from __future__ import annotations

from typing import Any

import pytest

import farthing
from farthing.catalog.references import citation
from farthing.records.term import Term
from farthing.report.explanation import Step, explanation, references, steps, tidied

LEAF = Term(name="tp", value=8.0)
NOTHING = Term(name="hops", value=0.0, unit="s", formula="a × b", numbers="0 × 3", reference="kwon-2023")
SHARED = Term(name="shared", value=2.0, formula="1 + 1", numbers="1 + 1", reference="kaplan-2020")
FIRST = Term(
    name="first", value=16.0, unit="byte", formula="shared × tp", numbers="2 × 8", terms=(SHARED, LEAF)
)
SECOND = Term(name="second", value=4.0, formula="shared + shared", numbers="2 + 2", terms=(SHARED, NOTHING))


def test_steps_follow_what_uses_them() -> None:
    assert [(level, term.name, known) for level, term, known in steps([FIRST, SECOND])] == [
        (0, "first", False),
        (1, "shared", False),
        (0, "second", False),
        (1, "shared", True),
    ]


def test_depth() -> None:
    assert [term.name for _, term, _ in steps([FIRST, SECOND], 1)] == ["first", "second"]


def test_references_are_those_of_what_is_shown() -> None:
    assert references([FIRST, SECOND]) == ["kaplan-2020"]
    assert references([FIRST, SECOND], 1) == []


@pytest.mark.parametrize(
    ("symbols", "numbers", "left"),
    [
        ("a × b / c", "3 × 1 / 1", ("a", "3")),
        ("a × b", "1 × 4", ("b", "4")),
        ("a × b", "1 × 1", ("a", "1")),
        ("a + b × c", "5 + 1 × 4", ("a + c", "5 + 4")),
        ("a / b", "1 / 4", ("a / b", "1 / 4")),
        ("a / b × c", "6 / 2 × 1", ("a / b", "6 / 2")),
        ("f(a, 1) × b", "f(2, 1) × 3", ("f(a, 1) × b", "f(2, 1) × 3")),
        ("(a × b) / c", "(1 × 2) / 3", ("(a × b) / c", "(1 × 2) / 3")),
        ("words that tell", "", ("words that tell", "")),
    ],
)
def test_factors_of_one_are_left_out(symbols: str, numbers: str, left: tuple[str, str]) -> None:
    assert tidied(symbols, numbers) == left


def test_a_line_breaks_at_its_signs_of_equality() -> None:
    term = Term(name="memory", value=1e9, unit="byte", formula="weights + cache", numbers="6e8 + 4e8")
    assert Step(0, term, False).lines(80) == ["memory = weights + cache = 6e8 + 4e8 = 1.00 GB"]
    assert Step(1, term, False).lines(30) == [
        "  memory = weights + cache",
        "      = 6e8 + 4e8",
        "      = 1.00 GB",
    ]
    assert Step(1, term, True).lines(30) == ["  memory = 1.00 GB, as above"]


@pytest.mark.parametrize("width", [60, 80, 120])
@pytest.mark.parametrize("depth", [1, 4, None])
def test_real_derivations(render: Any, width: int, depth: int | None) -> None:
    estimate = farthing.infer("mixtral-8x7b", "2x4:rtx-4090@25gbe", tp=4, pp=2, explain=True, batch_size=8)
    assert len(estimate.terms) == 4
    text = render(explanation(estimate.terms, depth=depth, citation=citation), width)
    assert max(map(len, text.splitlines())) <= width
    body, _, papers = text.partition("References")
    for term in estimate.terms:
        assert f"  {term.name} = " in body
    for key in references(estimate.terms, depth):
        assert f"[{key}]" in papers
    assert "0 +" not in body
    assert " × 1\n" not in body


def test_the_derivation_ends_in_the_estimate() -> None:
    estimate = farthing.train("llama-2-7b", "1x8:a100-sxm-80gb", explain=True)
    values = {term.name: term.value for term in estimate.terms}
    assert values["step time"] == estimate.step_s
    assert values["memory of the fullest card"] == estimate.memory.total_bytes
