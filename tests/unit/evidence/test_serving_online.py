"""Rows of online serving: sizes printed as products, formats, refusals."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from farthing.errors import FarthingError
from farthing.evidence.load import shipped
from farthing.evidence.serving_online import compare, serving
from farthing.evidence.serving_setup import deployment_of
from farthing.evidence.workers import Workers
from farthing.records.comparison import Case

ROW = {
    "silicon_data_source": "db; silicon_concurrency=64; measured=2026-01-01",
    "backend": "vllm",
    "system": "b200_sxm",
    "precision": "fp8",
    "mode": "agg",
    "isl": "1024",
    "osl": "1024",
    "gemm_quant_mode": "fp8",
    "batch_size": "64.0",
    "tp_size": "4.0",
    "pp_size": "1.0",
    "attention_dp_size": "1.0",
    "moe_tp_size": "4.0",
    "moe_ep_size": "1.0",
    "silicon_ttft_ms": "150",
    "silicon_tpot_ms": "16",
    "model_id": "minimax-m2.5",
    "accelerator_id": "b200-sxm",
}


def case(**cells: Any) -> Case:
    return Case(file="x.csv", id="1", source="s", kind="serving_online", cells=ROW | cells)


@pytest.mark.parametrize(
    ("tp", "dp", "expert_tp", "ep", "expected"),
    [
        ("4.0", "1.0", "4.0", "1.0", (4, 1, 1)),
        ("64.0", "1.0", "8.0", "8.0", (8, 1, 8)),
        ("1.0", "64.0", "8.0", "8.0", (1, 8, 8)),
        ("2.0", "2.0", "1.0", "4.0", (2, 1, 2)),
        ("1.0", "8.0", "1.0", "8.0", (1, 8, 8)),
        ("4.0", "", "2.0", "2.0", (4, 1, 4)),
    ],
)
def test_products_in_place_of_sizes(
    tp: str, dp: str, expert_tp: str, ep: str, expected: tuple[int, int, int]
) -> None:
    row = case(tp_size=tp, attention_dp_size=dp, moe_tp_size=expert_tp, moe_ep_size=ep)
    found = deployment_of(row).decode
    assert (found.tp, found.dp, found.ep) == expected


def test_users_are_stated_or_the_batch_of_all_ranks() -> None:
    assert deployment_of(case()).users == 64
    ranks = {"tp_size": "1.0", "attention_dp_size": "8.0", "moe_tp_size": "1.0", "moe_ep_size": "8.0"}
    assert deployment_of(case(silicon_data_source="", batch_size="16", **ranks)).users == 128


@pytest.mark.parametrize(
    ("cells", "reason"),
    [
        ({"backend": "other"}, "engine"),
        ({"model_id": ""}, "model"),
        ({"accelerator_id": "abacus"}, "accelerator"),
        ({"gemm_quant_mode": "fp3"}, "format"),
        ({"pp_size": "2.0"}, "pipeline"),
        ({"tp_size": "36.0", "moe_tp_size": "36.0"}, "heads"),
        ({"tp_size": "1.0", "moe_tp_size": "1.0", "model_id": "deepseek-v3"}, "do not fit"),
        ({"isl": ""}, "stated"),
        ({"isl": "long"}, "not a number"),
    ],
)
def test_refusals(cells: dict[str, str], reason: str) -> None:
    found = compare([case(**cells)])
    assert len(found) == 2
    assert all(reason in one.reason for one in found)


def test_both_numbers_are_compared_in_milliseconds() -> None:
    first, other = compare([case()])
    assert (first.quantity, other.quantity) == ("silicon_ttft_ms", "silicon_tpot_ms")
    assert 50 < first.predicted < 500
    assert 8 < other.predicted < 32
    assert first.simple < first.predicted
    assert other.simple < other.predicted


APART = {
    "mode": "disagg",
    "backend": "trtllm",
    "system": "gb300",
    "model_id": "deepseek-v3",
    "precision": "fp4",
    "gemm_quant_mode": "nvfp4",
    "accelerator_id": "gb300",
    "prefill_tp_size": "2.0",
    "prefill_moe_ep_size": "2.0",
    "decode_tp_size": "8.0",
    "decode_moe_tp_size": "4.0",
    "decode_moe_ep_size": "2.0",
}
"""As the tables print runs of InferenceX, which lack the workers."""


def said(users: int, day: str = "2026-02-03") -> str:
    return f"source_file=2026-03-25.csv; silicon_concurrency={users}; measured={day}T00:00:00Z"


def test_workers_are_looked_up() -> None:
    # gb300-fp4/1k1k/stp/ctx1_gen4_tep8_batch32_eplb0_mtp0.yaml
    setup = deployment_of(case(**APART, silicon_data_source=said(96)))
    assert (setup.prefill, setup.decode) == (
        Workers(count=1, tp=1, dp=2, ep=2),
        Workers(count=4, tp=8, dp=1, ep=8),
    )
    assert (setup.draft_tokens, setup.decode_batch) == (0, 32)


def test_drafts_are_looked_up() -> None:
    # gb300-fp4/1k1k/mtp/ctx1_gen4_tep8_batch16_eplb0_mtp3.yaml; the plain run had other numbers of users.
    setup = deployment_of(case(**APART, silicon_data_source=said(24)))
    plain = dataclasses.replace(setup, draft_tokens=0)
    assert setup.draft_tokens == 3
    assert serving(setup).tpot_s < 0.7 * serving(plain).tpot_s


def test_what_was_run_both_ways_has_one_number_of_two() -> None:
    first, other = compare([case(**APART, silicon_data_source=said(12))])
    assert not first.reason
    assert "drafted" in other.reason


def test_workers_that_nobody_published_are_refused() -> None:
    for words in ("db; silicon_concurrency=96", said(97), said(96, "2025-01-01")):
        with pytest.raises(FarthingError, match="how many workers"):
            deployment_of(case(**APART, silicon_data_source=words))
    stated = case(
        **APART, prefill_num_workers="1.0", decode_num_workers="4.0", decode_batch_size="24", osl="512"
    )
    assert deployment_of(stated).decode.count == 4


def test_all_cards_in_place_of_a_workers() -> None:
    # runners/launch_gb200-nv.sh: 3 nodes of 4 cards, of which one reads prompts.
    row = case(
        backend="trtllm",
        system="gb200",
        accelerator_id="gb200",
        model_id="deepseek-v3",
        precision="fp4",
        gemm_quant_mode="nvfp4",
        tp_size="12.0",
        moe_tp_size="12.0",
        silicon_data_source=said(4300, "2025-11-17"),
    )
    setup = deployment_of(row)
    assert setup.prefill == Workers(count=1, tp=1, dp=4, ep=4)
    assert setup.decode == Workers(count=1, tp=1, dp=8, ep=8)


def test_a_broken_cell_says_so() -> None:
    with pytest.raises(FarthingError, match="moe_ep_size"):
        deployment_of(case(moe_ep_size="many"))


def test_most_shipped_rows_are_predicted() -> None:
    found = compare(shipped("serving_online")[::40])
    assert sum(not one.reason for one in found) > 0.85 * len(found)


def test_names_count_where_a_row_has_no_ids() -> None:
    named = case(model_id="", model_path="MiniMaxAI/MiniMax-M2.5", accelerator_id="")
    assert deployment_of(named) == deployment_of(case())
    with pytest.raises(FarthingError, match="model is not in the catalogue"):
        deployment_of(case(model_id="", model_path="nobody/knows"))
