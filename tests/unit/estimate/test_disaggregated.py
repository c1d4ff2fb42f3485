"""Workers that read prompts and workers that decode, by hand and at the edges."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

import farthing
from farthing.catalog.cluster import parse_cluster
from farthing.errors import Infeasible, InvalidInput
from farthing.records.estimate import DisaggregatedEstimate
from farthing.records.plan import DisaggregatedPlan, InferencePlan, Pool

HALF = Pool(accelerators_per_host=4)
PLAN = DisaggregatedPlan(
    prefill=InferencePlan(tp=2, dp=2), decode=InferencePlan(tp=4), prefill_pool=HALF, decode_pool=HALF
)
RIG = "1x8:h100-sxm"


def deployed(
    plan: DisaggregatedPlan = PLAN, cluster: str = RIG, model: str = "llama-2-70b", **load: Any
) -> DisaggregatedEstimate:
    return farthing.infer_disaggregated(model, cluster, plan, **({"output_tokens": 500} | load))


def test_one_user_waits_for_each_part_in_turn() -> None:
    found = deployed(batch_size=1, ideal=True)
    alone = farthing.infer("llama-2-70b", "1x2:h100-sxm", tp=2, batch_size=1, output_tokens=500, ideal=True)
    assert found.transfer_bytes == 1024 * 327_680
    assert found.ttft_s == pytest.approx(alone.ttft_s + found.transfer_s + found.tpot_s)
    assert found.loaded_ttft_s == pytest.approx(found.ttft_s)
    assert found.requests_per_s == pytest.approx(1 / (found.ttft_s + 499 * found.tpot_s))


def test_the_transfer_takes_the_cards_of_the_smaller_worker() -> None:
    few = deployed(batch_size=4)
    many = deployed(dataclasses.replace(PLAN, prefill=InferencePlan(tp=4)), batch_size=4)
    assert few.transfer_bytes == many.transfer_bytes
    assert few.transfer_s == pytest.approx(2 * many.transfer_s, rel=0.1)


def test_a_network_is_slower_than_links_inside() -> None:
    whole = Pool(hosts=1, accelerators_per_host=8)
    apart = DisaggregatedPlan(
        prefill=InferencePlan(tp=8), decode=InferencePlan(tp=8), prefill_pool=whole, decode_pool=whole
    )
    split = Pool(hosts=2, accelerators_per_host=4)
    inside = DisaggregatedPlan(
        prefill=InferencePlan(tp=4, dp=2),
        decode=InferencePlan(tp=4, dp=2),
        prefill_pool=split,
        decode_pool=split,
    )
    cluster = "2x8:h100-sxm@10gbe"
    slow = deployed(apart, cluster, batch_size=8)
    assert slow.transfer_s > deployed(inside, cluster, batch_size=8).transfer_s * 10
    assert slow.transfer_s > slow.transfer_bytes / (10e9 / 8)


def test_the_slower_side_sets_the_rate() -> None:
    short = deployed(batch_size=400, output_tokens=20, prompt_tokens=4000)
    assert short.bottleneck == "reading prompts and handing them over"
    assert short.requests_per_s == pytest.approx(short.prefill_requests_per_s, rel=0.02)
    assert short.decoding < 40
    long = deployed(batch_size=8, output_tokens=2000, prompt_tokens=100)
    assert long.bottleneck == "decoding"
    assert long.requests_per_s == pytest.approx(long.decode_requests_per_s, rel=0.02)
    assert long.decoding > 7.9


def test_drafts_make_answers_faster() -> None:
    plain, drafted = deployed(batch_size=2), deployed(batch_size=2, draft_tokens=3, acceptance_rate=0.9)
    assert drafted.tpot_s < plain.tpot_s / 2
    assert drafted.requests_per_s > plain.requests_per_s


def test_unlike_cards_read_and_decode() -> None:
    plan = DisaggregatedPlan(
        prefill=InferencePlan(tp=2),
        decode=InferencePlan(tp=2, dp=2),
        prefill_pool=Pool(group=0, accelerators_per_host=2),
        decode_pool=Pool(group=1, accelerators_per_host=4),
    )
    found = deployed(plan, "1x2:h100-sxm+1x4:rtx-4090@25gbe", "llama-2-13b", batch_size=4)
    assert found.fits
    assert found.plan.prefill.engine == found.plan.decode.engine == "vllm"
    assert found.accelerators == 6
    assert not any("cards idle" in warning for warning in found.warnings)


def test_idle_cards_and_unable_engines_are_told() -> None:
    plan = dataclasses.replace(
        PLAN, prefill=InferencePlan(tp=2, engine="tgi"), decode=InferencePlan(tp=4, engine="tgi")
    )
    warnings = deployed(plan, batch_size=2).warnings
    assert "the plan leaves 2 of 8 cards idle" in warnings
    assert "Text Generation Inference 3.3 does not hand prompts over" in warnings


def test_power_lies_between_rest_and_all_at_work() -> None:
    found = deployed(batch_size=64)
    cards = parse_cluster(RIG).groups[0].accelerator
    assert 8 * cards.idle_w < found.power_w < 1.2 * (8 * cards.tdp_w + 2000)
    assert found.energy_per_token_j == pytest.approx(found.power_w / found.served_tokens_per_s)
    assert {cost.way for cost in found.costs} == {"own", "rent"}


def test_what_does_not_fit_says_on_which_side() -> None:
    plan = dataclasses.replace(PLAN, prefill=InferencePlan(tp=1, dp=4))
    found = deployed(plan, batch_size=4)
    assert not found.fits
    assert found.misfit.startswith("each prefill card needs ")
    with pytest.raises(Infeasible, match="prefill card"):
        deployed(plan, batch_size=4, must_fit=True)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"prefill_pool": Pool(group=1)}, "has 1 groups of hosts"),
        ({"prefill_pool": Pool(hosts=2)}, "are more than the 1 with 8"),
        ({"prefill_pool": Pool(accelerators_per_host=5)}, "together are more than the cards"),
        ({"prefill": InferencePlan(tp=8)}, "has 4"),
        ({"decode": InferencePlan(tp=3)}, "does not divide the 64 heads"),
        ({"decode": InferencePlan(dp=4)}, "need a batch of at least 4"),
    ],
)
def test_bad_plans(change: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        deployed(dataclasses.replace(PLAN, **change), batch_size=3)


def test_an_answer_of_one_token_needs_no_decoding() -> None:
    with pytest.raises(InvalidInput, match="output_tokens of at least 2"):
        deployed(output_tokens=1)
    with pytest.raises(InvalidInput, match="unknown option 'tp'"):
        deployed(tp=2)
