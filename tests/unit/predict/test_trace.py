"""Tracing: what a number remembers, and what is not worth a word."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from farthing.predict.trace import (
    Traced,
    formula,
    named,
    plain_number,
    select,
    term_of,
    traced,
    tracing,
    untraced,
    words,
)
from farthing.records.term import Term


def leaf(value: float, name: str) -> Traced:
    return traced(value, name)


A, B, C = leaf(6.0, "a"), leaf(2.0, "b"), leaf(3.0, "c")


@pytest.mark.parametrize(
    ("made", "symbols", "numbers", "value"),
    [
        (lambda: A + B, "a + b", "6 + 2", 8),
        (lambda: A - B, "a - b", "6 - 2", 4),
        (lambda: A * B, "a × b", "6 × 2", 12),
        (lambda: A / B, "a / b", "6 / 2", 3),
        (lambda: A // B, "a // b", "6 // 2", 3),
        (lambda: A % B, "a mod b", "6 mod 2", 0),
        (lambda: A**B, "a^b", "6^2", 36),
        (lambda: 2 * A, "2 × a", "2 × 6", 12),
        (lambda: 12 / A, "12 / a", "12 / 6", 2),
        (lambda: 9 - A, "9 - a", "9 - 6", 3),
        (lambda: (A + B) * C, "(a + b) × c", "(6 + 2) × 3", 24),
        (lambda: A / (B * C), "a / (b × c)", "6 / (2 × 3)", 1),
        (lambda: A - (B - C), "a - (b - c)", "6 - (2 - 3)", 7),
        (lambda: (A / B) / C, "a / b / c", "6 / 2 / 3", 1),
        (lambda: (A + B) ** C, "(a + b)^c", "(6 + 2)^3", 512),
        (lambda: np.maximum(A, B), "max(a, b)", "max(6, 2)", 6),
        (lambda: np.minimum(A, 4.0), "min(a, 4)", "min(6, 4)", 4),
        (lambda: np.ceil(A / 4), "ceil(a / 4)", "ceil(6 / 4)", 2),
        (lambda: np.float64(2.0) * A, "2 × a", "2 × 6", 12),
        (lambda: abs(A), "abs(a)", "abs(6)", 6),
        (lambda: np.clip(A, B, C), "min(max(a, b), c)", "min(max(6, 2), 3)", 3),
    ],
)
def test_expressions(made: Any, symbols: str, numbers: str, value: float) -> None:
    found = made()
    assert (found.symbols, found.numbers, float(found)) == (symbols, numbers, value)


@pytest.mark.parametrize(
    ("made", "symbols"),
    [
        (lambda: A + 0, "a"),
        (lambda: 0.0 + A, "a"),
        (lambda: A - 0, "a"),
        (lambda: A * 1, "a"),
        (lambda: 1.0 * A, "a"),
        (lambda: A / 1, "a"),
        (lambda: A + leaf(0.0, "none"), "a"),
        (lambda: (A + B) + 0, "a + b"),
        (lambda: ((A + B) + 0) * C, "(a + b) × c"),
        (lambda: np.maximum(A, 0), "a"),
        (lambda: np.maximum(0.0, A), "a"),
        (lambda: np.minimum(A, np.inf), "a"),
        (lambda: np.maximum(A, A), "a"),
        (lambda: A * 0, "0"),
        (lambda: 0 * (A + B), "0"),
        (lambda: A * leaf(1.0, "one"), "a × one"),
        (lambda: A / leaf(1.0, "one"), "a / one"),
        (lambda: np.maximum(leaf(-1.0, "less"), 0.0), "max(less, 0)"),
    ],
)
def test_steps_that_change_nothing_are_left_out(made: Any, symbols: str) -> None:
    found = made()
    assert getattr(found, "symbols", plain_number(float(found))) == symbols


def test_dropped_terms_leave_no_trace() -> None:
    with tracing():
        idle = named("idle_s", leaf(0.0, "x") * leaf(3.0, "y"))
        busy = named("busy_s", A * B)
        total = named("total_s", busy + idle)
    term = term_of(total)
    assert term is not None
    assert (term.formula, term.terms) == ("a × b", ())


def test_comparisons_and_conversions_are_of_the_value() -> None:
    assert A > B
    assert A >= 6
    assert B < A
    assert B <= 2
    assert A == 6
    assert A != B
    assert (int(A), float(A), bool(leaf(0.0, "none")), hash(A)) == (6, 6.0, False, hash(6.0))
    assert [10, 20, 30][leaf(1, "place")] == 20
    assert untraced(A) == 6
    assert untraced(5) == 5
    assert (+A) is A


def test_columns_stay_columns() -> None:
    column = np.array([1.0, 2.0])
    for found in (A * column, column * A, A + column, np.maximum(A, column)):
        assert isinstance(found, np.ndarray)
        assert found.dtype == float


@formula(reference="kaplan-2020")
def double_bytes(size_bytes: float, *, copies: int = 1) -> Any:
    return 2 * size_bytes * copies


def test_a_formula_becomes_a_term() -> None:
    with tracing():
        found = double_bytes(4.0, copies=3)
    assert term_of(found) == Term(
        name="double bytes",
        value=24.0,
        unit="byte",
        formula="2 × size bytes × copies",
        numbers="2 × 4 × 3",
        reference="kaplan-2020",
    )


def test_outside_nothing_is_recorded() -> None:
    assert double_bytes(4.0) == 8.0
    assert named("x", 3.0) == 3.0
    assert term_of(double_bytes(4.0)) is None


def test_a_named_argument_keeps_its_name_and_an_expression_gets_one() -> None:
    with tracing():
        weights = named("weights_bytes", leaf(2.0, "parameters") * 2)
        of_named = term_of(double_bytes(weights))
        of_expression = term_of(double_bytes(leaf(2.0, "parameters") * 2))
    assert of_named is not None
    assert of_expression is not None
    assert of_named.formula == "2 × weights × copies"
    assert [part.name for part in of_named.terms] == ["weights"]
    assert of_expression.formula == "2 × size bytes × copies"
    assert [(part.name, part.formula) for part in of_expression.terms] == [("size bytes", "parameters × 2")]


def test_naming_again_renames() -> None:
    with tracing():
        first = named("first_s", A * B, reference="kaplan-2020")
        again = term_of(named("second_s", first))
    assert again == Term(
        name="second", value=12.0, unit="s", formula="a × b", numbers="6 × 2", reference="kaplan-2020"
    )


def test_an_alias_says_what_it_is() -> None:
    with tracing():
        term = term_of(named("limit", leaf(5.0, "capacity")))
    assert term is not None
    assert (term.formula, term.numbers) == ("capacity", "5")


def test_a_summary_stands_for_an_expression() -> None:
    @formula(shows="a of b in words", name="summed")
    def summed(a: Any, b: Any) -> Any:
        return sum([a, b] * 10)

    with tracing():
        part = named("a of b", A * B)
        term = term_of(summed(part, named("elsewhere", B * C)))
    assert term is not None
    assert (term.formula, term.numbers, term.value) == ("a of b in words", "", 180.0)
    assert [inner.name for inner in term.terms] == ["a of b"]


def test_select() -> None:
    assert select(True, A, B) is A
    assert select(False, A, B) is B
    assert select(np.array([True, False]), 1.0, 2.0).tolist() == [1.0, 2.0]


@pytest.mark.parametrize(
    ("identifier", "said"),
    [
        ("bytes_per_s", "bandwidth"),
        ("flop_per_s", "rate"),
        ("memory_bytes_per_s", "memory bandwidth"),
        ("link_latency_s", "link latency"),
        ("tp", "tp"),
    ],
)
def test_words(identifier: str, said: str) -> None:
    assert words(identifier) == said


@pytest.mark.parametrize(
    ("value", "said"),
    [(0, "0"), (1e6, "1e6"), (123456, "123456"), (1.23456e10, "12.35e9"), (1e-7, "100e-9"), (np.inf, "inf")],
)
def test_plain_numbers(value: float, said: str) -> None:
    assert plain_number(value) == said


def test_tracing_ends_with_its_block_also_after_an_error() -> None:
    def fails() -> None:
        with tracing():
            raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        fails()
    assert named("x", 3.0) == 3.0
