"""Pass times from tables, against the functions that the tables hold."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farthing.records.serving import MOST_TOKENS
from farthing.simulate.serving.passes import OCTAVES, PassTimes, fixed_times

ROWS = OCTAVES + 2


def token_s(new: float, cached: float) -> float:
    """Attention a token of a prompt, as linear in both as it is in the model [s]."""
    return 2e-6 + 3e-9 * new + 5e-9 * cached


TIMES = PassTimes(
    written_s=[0.0, 0.01, 0.011, 0.012],
    # Whole octaves of the context have the slope of a curve, here of the squared mean context.
    attention_base_s=[[0.1 * octave] * 4 for octave in range(ROWS)],
    attention_slope_s=[[0.01 * (octave + 1)] * 4 for octave in range(ROWS)],
    read_s=[0.02 + 0.001 * tokens for tokens in range(101)],
    prompt_s=[
        [token_s(2**part, 2 ** (after - 1) if after else 0) for after in range(ROWS)] for part in range(ROWS)
    ],
    start_s=0.05,
    sequence_s=0.003,
    pass_tokens=4,
)


@pytest.mark.parametrize(
    ("sequences", "context", "octave"), [(1, 0, 0), (1, 1, 1), (2, 7, 2), (2, 8, 3), (3, 3 * 512, 10)]
)
def test_decoding_reads_the_octave_of_the_mean_context(sequences: int, context: int, octave: int) -> None:
    slope = 0.01 * (octave + 1)
    time_s, found = TIMES.decode_s(sequences, context)
    assert found == pytest.approx(slope)
    assert time_s == pytest.approx(TIMES.written_s[sequences] + 0.1 * octave + slope * context)


@given(new=st.integers(1, MOST_TOKENS), cached=st.integers(0, MOST_TOKENS))
def test_attention_of_prompts_is_that_of_the_model(new: int, cached: int) -> None:
    assert TIMES.prompt_attention_s(new, cached) == pytest.approx(new * token_s(new, cached), rel=1e-9)


def test_the_longest_request_that_stepped_back_finds_its_time() -> None:
    cached = 2 * MOST_TOKENS - 1
    assert TIMES.prompt_attention_s(1, cached) == pytest.approx(token_s(1, cached), rel=1e-9)


def test_mixed_passes_count_all_tokens() -> None:
    # 30 tokens of prompts and two sequences of four tokens: 0.02 + 0.038 and what is given.
    alone_s = TIMES.mixed_s(0, 0, 30, 0.7)
    assert alone_s == pytest.approx(0.02 + 0.03 + 0.7)
    both_s = TIMES.mixed_s(2, 8, 30, 0.7)
    writing_s = 0.3 + 0.04 * 8 - 0.05
    assert both_s == pytest.approx(0.02 + 0.038 + 0.7 + writing_s + 2 * 0.003)


def test_attention_that_reading_has_counted_is_not_counted_below_nothing() -> None:
    costly = dataclasses.replace(TIMES, start_s=100.0)
    assert costly.mixed_s(2, 8, 30, 0.0) == pytest.approx(0.02 + 0.038 + 2 * 0.003)


def test_longer_passes_than_tabled_take_in_proportion() -> None:
    assert TIMES.mixed_s(0, 0, 100, 0.0) == pytest.approx(0.12)
    assert TIMES.mixed_s(0, 0, 1000, 0.0) == pytest.approx(1.2)


def test_fixed_times() -> None:
    times = fixed_times(0.5, slope_s=1e-3, sequences=8)
    assert times.decode_s(8, 800) == (0.5 + 0.8, 1e-3)
    assert times.decode_s(1, 2**20)[1] == 1e-3
    assert times.mixed_s(0, 0, 5000, times.prompt_attention_s(5000, 9)) == 0.5
    assert times.mixed_s(2, 300, 5000, 0.0) == pytest.approx(0.8)
