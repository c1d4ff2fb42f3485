"""What is played of a row: the published client, and the limits that its scripts set."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from farthing.errors import FarthingError
from farthing.evidence import serving_simulated
from farthing.evidence.load import shipped
from farthing.evidence.serving_online import closed_form
from farthing.evidence.serving_setup import Deployment
from farthing.evidence.serving_simulated import ROUNDS, SPREAD, row_of, simulated
from farthing.records.comparison import Case


def first(wanted: Callable[[Case, Deployment], bool]) -> tuple[Case, Deployment]:
    for case in shipped("serving_online"):
        try:
            setup, _ = closed_form(case, "TTFT")
        except FarthingError:
            continue
        if wanted(case, setup):
            return case, setup
    raise AssertionError("no such row is shipped")


def is_inferencex(case: Case) -> bool:
    return case.cells["silicon_data_source"].startswith(("db-dump", "source_file=20"))


def scheduler(case: Case, setup: Deployment, role: str = "") -> tuple[int, int]:
    workers = setup.prefill if role else setup.decode
    assert workers is not None
    found = serving_simulated._scheduler(setup, workers, case, role)
    return found.token_budget, found.max_sequences


def test_a_script_that_sets_twice_the_prompt() -> None:
    case, setup = first(
        lambda case, setup: (
            is_inferencex(case)
            and (setup.model, setup.engine, setup.card) == ("minimax-m2.5", "vllm", "b200-sxm")
        )
    )
    assert scheduler(case, setup)[0] == 2 * setup.prompt


def test_a_pass_that_must_hold_a_prompt() -> None:
    case, setup = first(
        lambda case, setup: (
            is_inferencex(case)
            and (setup.engine, setup.model, setup.prompt) == ("tensorrt-llm", "llama-3.1-70b", 8192)
            and not setup.prefill
            and not setup.draft_tokens
        )
    )
    assert scheduler(case, setup)[0] == setup.prompt + setup.users + 127


def test_a_server_divides_its_chunk_by_its_ranks() -> None:
    case, setup = first(
        lambda case, setup: (
            is_inferencex(case)
            and setup.engine == "sglang"
            and setup.prefill is not None
            and setup.prefill.dp == 8
        )
    )
    assert scheduler(case, setup, "prefill")[0] == 65536 // 8


def test_runs_of_others_have_the_engines_defaults() -> None:
    case, setup = first(
        lambda case, setup: (
            "aic-auto" in case.cells["silicon_data_source"]
            and (setup.engine, setup.card) == ("vllm", "h100-sxm")
        )
    )
    assert scheduler(case, setup) == (8192, 1024)


def test_each_user_sends_ten_requests_of_spread_lengths() -> None:
    case, setup = first(lambda case, setup: is_inferencex(case) and setup.users == 8)
    asks = list(serving_simulated._asks(setup, case))
    assert len(asks) == ROUNDS * setup.users
    assert min(ask.prompt for ask in asks) >= int(SPREAD * setup.prompt)
    assert max(ask.prompt for ask in asks) <= setup.prompt
    assert len({ask.output for ask in asks}) > 40
    assert asks == list(serving_simulated._asks(setup, case))


def test_users_of_one_length_stay_in_step_where_prompts_go_first() -> None:
    case, setup = first(
        lambda case, setup: "aic-auto" in case.cells["silicon_data_source"] and setup.engine == "sglang"
    )
    assert {ask.prompt for ask in serving_simulated._asks(setup, case)} == {setup.prompt}


def test_more_host_time_is_later_first_tokens() -> None:
    case, setup = first(lambda case, setup: is_inferencex(case) and setup.users == 8 and not setup.prefill)
    plain, _ = simulated(setup, case, request_s=0.01, stream_s=0.0)
    later, _ = simulated(setup, case, request_s=0.11, stream_s=0.0)
    lagging, _ = simulated(setup, case, request_s=0.01, stream_s=0.001)
    assert later - plain == pytest.approx(0.1, rel=0.3)
    assert 0.003 < lagging - plain < 0.009


def test_rows_that_say_too_little_are_none() -> None:
    case = shipped("serving_online")[0]
    silent = Case(
        file="", id="x", source="", kind="serving_online", cells={**case.cells, "silicon_ttft_ms": ""}
    )
    assert row_of(silent) is None
