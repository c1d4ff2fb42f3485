"""Closed loops of users: what is conserved, and where the ends are."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from farthing.predict.serving import continuous_batching, disaggregated, interference_s, queue_time_s


def step(sequences: Any) -> Any:
    """A decode step of 10 ms and 50 us a sequence."""
    return 0.010 + 50e-6 * sequences


def replica(**options: Any) -> Any:
    given = {"users": 64, "slots": 1000, "output_tokens": 512, "waiting_share": 0.1} | options
    return continuous_batching(step, given.pop("prefill_s", 0.020), **given)


def test_one_user_waits_for_nobody() -> None:
    alone = replica(users=1)
    assert alone.tpot_s == pytest.approx(step(1))
    assert alone.ttft_s == pytest.approx(0.020 + step(1) / 2)


def test_prompts_are_read_once_whoever_waits_for_them() -> None:
    # A round is the own prompt, the answer, and the prompts of all others, before or after the first token.
    for share in (0.0, 0.3, 1.0):
        load = replica(waiting_share=share)
        one_round = load.ttft_s + load.tpot_s * 511
        own = step(load.decoding)
        assert one_round == pytest.approx(64 * 0.020 + 511 * own + own / 2, rel=1e-4)


def test_users_beyond_the_slots_wait_for_an_answer_to_end() -> None:
    full, over = replica(users=64, slots=64), replica(users=96, slots=64)
    assert over.tpot_s == pytest.approx(full.tpot_s)
    answer = full.ttft_s + full.tpot_s * 511
    assert over.ttft_s == pytest.approx(full.ttft_s + answer / 2)
    assert over.requests_per_s == pytest.approx(full.requests_per_s)


def test_littles_law() -> None:
    load = replica()
    assert load.requests_per_s * (load.ttft_s + load.tpot_s * 511) == pytest.approx(64)


def apart(**options: Any) -> Any:
    given = {
        "users": 256,
        "prefill_places": 4,
        "decode_places": 8,
        "slots": 1000,
        "output_tokens": 1001,
        "burst_share": 0.1,
    } | options
    return disaggregated(step, given.pop("prefill_s", 0.100), **given)


def test_reading_apart_does_not_hold_up_answers() -> None:
    assert apart().tpot_s == pytest.approx(step(apart().decoding))


def test_slow_prefill_leaves_decode_half_empty() -> None:
    quick, slow = apart(prefill_s=0.01), apart(prefill_s=2.0)
    assert slow.decoding < 0.3 * quick.decoding
    assert slow.tpot_s < quick.tpot_s
    # No faster than the workers read prompts.
    assert slow.requests_per_s < 4 / 2.0
    assert slow.ttft_s > 100 * quick.ttft_s / 10


def test_more_prefill_places_shorten_the_wait() -> None:
    assert apart(prefill_places=8).ttft_s < apart(prefill_places=4).ttft_s


def test_accepted_drafts_shorten_answers_not_steps() -> None:
    plain, drafted = apart(), apart(step_tokens=2.0)
    assert drafted.tpot_s == pytest.approx(step(drafted.decoding) / 2, rel=1e-2)
    assert drafted.requests_per_s > 1.5 * plain.requests_per_s
    alone = replica(users=1, step_tokens=2.0)
    assert alone.tpot_s == pytest.approx(replica(users=1).tpot_s / 2)


def test_requests_wait_for_the_next_look_at_the_queue() -> None:
    often, seldom = replica(users=1), replica(users=1, poll_steps=31)
    assert seldom.ttft_s - often.ttft_s == pytest.approx(15 * often.tpot_s)


def test_bursts_end_where_the_queue_never_does() -> None:
    # 0.1 of the 6.4 s that 256 prompts take at 4 places.
    assert apart(burst_share=0.1).ttft_s - apart(burst_share=0.0).ttft_s > 0.3
    full = {"prefill_s": 2.0}
    assert apart(burst_share=0.1, **full).ttft_s == pytest.approx(apart(burst_share=0.0, **full).ttft_s)


def test_those_who_wait_are_read_together() -> None:
    busy, shared = apart(users=2048), apart(users=2048, shared_prefill_s=0.05)
    assert shared.ttft_s < busy.ttft_s
    # A lone prompt shares its pass with nobody.
    assert apart(users=1, shared_prefill_s=0.05).ttft_s == pytest.approx(apart(users=1).ttft_s, rel=1e-3)


def test_users_beyond_the_decode_batch_wait_for_answers() -> None:
    # 4 users, 3 places of one sequence: a quarter of them waits, a third of an answer on average.
    load = apart(users=4, decode_places=3, slots=1, prefill_s=1e-3)
    answer = load.tpot_s * 1000
    assert load.ttft_s == pytest.approx(answer / 3, rel=0.02)


def test_queue_between_its_bounds() -> None:
    for users in (1, 3, 10, 100):
        time = queue_time_s(1.0, 20.0, users=users, servers=2)
        assert time >= 1.0 - 1e-9
        assert time >= users / 2 - 20.0
        assert time <= 1.0 + users / 2


def test_columns_equal_scalars() -> None:
    users = np.array([1.0, 8.0, 64.0])
    column = replica(users=users)
    for place, one in enumerate(users):
        assert column.ttft_s[place] == pytest.approx(replica(users=one).ttft_s)
        assert column.tpot_s[place] == pytest.approx(replica(users=one).tpot_s)


def test_single_tokens_have_no_interference_by_nobody() -> None:
    assert interference_s(0.1, 0, output_tokens=1, waiting_share=0.0) == 0


def test_prompts_that_share_passes_hold_up_the_others_less():
    alone, shared = replica(), replica(shared_prefill_s=0.005)
    assert shared.ttft_s < alone.ttft_s
    assert shared.tpot_s < alone.tpot_s
    # A prompt never takes longer beside others than by itself.
    assert replica(shared_prefill_s=1.0) == alone
