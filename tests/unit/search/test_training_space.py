"""What a space of training plans holds, and what each rule takes out."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from tests.unit.search.training_plans import pieces

from farthing import catalog
from farthing.catalog.cluster import parse_cluster
from farthing.errors import InvalidInput
from farthing.records.model import Model
from farthing.records.plan import TrainingPlan
from farthing.records.workload import TrainingWorkload
from farthing.search.training_space import WORDS, TrainingSpace, card_numbers, size_broken, training_space

SMALL = dataclasses.replace(catalog.model("gpt-2-124m"), layers=2)
FIXED: dict[str, Any] = {
    "sequence_parallel": True,
    "zero_stage": 1,
    "schedule": "1f1b",
    "rank_order": "tp-cp-dp-pp",
    "recompute": "none",
    "offload": "none",
}
"""All words, so that plans differ in sizes and spared layers alone."""


def space(
    model: str | Model = SMALL,
    cluster: str = "1x2:h100-sxm",
    *,
    tokens: int = 512,
    batch: int = 2,
    cards: int = 0,
    **given: Any,
) -> TrainingSpace:
    shape = catalog.model(model) if isinstance(model, str) else model
    load = TrainingWorkload(sequence_tokens=tokens, global_batch_size=batch)
    return training_space(shape, parse_cluster(cluster), load, given, cards=cards)


def sizes(found: TrainingSpace, *names: str) -> set[tuple[int, ...]]:
    """Different sizes of all rows."""
    columns = [
        [np.full(len(rows), rows.pp) if name == "pp" else getattr(rows, name) for name in names]
        for rows in found.rows
    ]
    return {tuple(row) for one in columns for row in np.stack(one, axis=1).tolist()}


def evaluated(found: TrainingSpace, model: Model, cluster: str, tokens: int, batch: int) -> int:
    """Plans that are left, counted one by one."""
    load = TrainingWorkload(sequence_tokens=tokens, global_batch_size=batch)
    return sum(one.found.count for one in pieces(model, parse_cluster(cluster), load, found))


def test_a_space_that_can_be_counted_by_hand() -> None:
    """Two cards, two layers, two sequences, no choice of words.

    Four layouts have one or two sequences in a micro-batch and three ways to spare the ends layers: 24
    plans. Replicas of one sequence have one size of a micro-batch, which leaves 7 rows of three ways. The 5
    of one stage have one split of the layers, whatever is spared: 10 go. In the 2 of two stages, sparing
    both ends a layer changes nothing, and sparing the last leaves it none: 2 go by each rule.
    """
    found = space(**FIXED)
    assert found.candidates == 4 * 2 * 3
    assert found.removed == {
        "micro-batches do not divide a replica's batch": 3,
        "another schedule or split of the layers is the same": 10 + 2,
        "a stage without layers": 2,
    }
    assert evaluated(found, SMALL, "1x2:h100-sxm", 512, 2) == 7
    assert sizes(found, "tp", "pp", "cp", "dp", "micro_batch_size") == {
        (2, 1, 1, 1, 1),
        (2, 1, 1, 1, 2),
        (1, 2, 1, 1, 1),
        (1, 2, 1, 1, 2),
        (1, 1, 2, 1, 1),
        (1, 1, 2, 1, 2),
        (1, 1, 1, 2, 1),
    }


RULES: dict[str, dict[str, Any]] = {
    "tp does not divide the heads": {"cluster": "1x8:h100-sxm"},  # 12 heads
    "tp does not divide the feed-forward width": {"model": dataclasses.replace(SMALL, ffn_hidden=3071)},
    "more stages than layers": {"cluster": "1x4:h100-sxm"},
    "cp does not cut the sequence in 2 x cp equal parts": {"tokens": 513},
    "dp does not divide the global batch": {"batch": 3},
    "micro-batches do not divide a replica's batch": {},
    "ep does not divide the experts": {"model": "mixtral-8x7b", "ep": [1, 3]},
    "expert_tp does not divide tp": {"model": "mixtral-8x7b", "expert_tp": 2},
    "expert_tp does not divide an expert's width": {
        "model": dataclasses.replace(catalog.model("mixtral-8x7b"), moe_ffn_hidden=14335)
    },
    "ep x expert_tp does not divide tp x cp x dp": {"model": "mixtral-8x7b"},
    "sequence parallelism changes or cuts nothing": {},
    "one replica has nothing to shard": {},
    "another order of ranks is the same, or parts experts": {},
    "the card computes in the host's memory": {"cluster": "1x1:m2-ultra"},
    "another schedule or split of the layers is the same": {},
    "interleaved stages are spared no layers": {},
    "virtual stages of unequal layers": {"model": dataclasses.replace(SMALL, layers=5)},
    "a stage without layers": {},
    "interleaving needs a multiple of pp micro-batches": {
        "model": dataclasses.replace(SMALL, layers=4),
        "batch": 3,
    },
}
"""A question for each rule that it takes something out of."""


@pytest.mark.parametrize("rule", RULES)
def test_each_rule_counts_what_it_takes_out(rule: str) -> None:
    question = dict(RULES[rule])
    model = question.pop("model", SMALL)
    model = catalog.model(model) if isinstance(model, str) else model
    cluster = question.pop("cluster", "1x2:h100-sxm")
    tokens, batch = question.pop("tokens", 512), question.pop("batch", 2)
    found = space(model, cluster, tokens=tokens, batch=batch, **question)
    assert found.removed[rule] > 0
    assert found.candidates == sum(found.removed.values()) + evaluated(found, model, cluster, tokens, batch)
    assert set(found.removed) <= set(RULES)


def test_a_value_is_kept_and_a_list_is_a_choice() -> None:
    found = space("llama-2-7b", "1x8:h100-sxm", batch=16, tp=[2, 4], pp=2, micro_batch_size=[1, 2, 3])
    assert sizes(found, "tp", "pp") == {(2, 2), (4, 2)}
    assert sizes(found, "micro_batch_size") == {(1,), (2,)}  # 3 does not divide the batch
    found = space("llama-2-7b", "1x8:h100-sxm", batch=16, dp=[1, 4], zero_stage=[3, 0], recompute="full")
    assert sizes(found, "dp") == {(1,), (4,)}
    for rows in found.rows:
        assert rows.words["zero_stage"] == (0, 3)  # of equals the simpler first
        assert {way.word for way in rows.recomputations} == {"full"}


def test_formats_and_engines_are_variants() -> None:
    found = space(weight_format=["bf16", "fp16"], engine=["megatron-lm", "torchtitan"], loss_chunks=4)
    assert [(one.weight_format, one.engine, one.loss_chunks) for one in found.variants] == [
        ("bf16", "megatron-lm", 4),
        ("bf16", "torchtitan", 4),
        ("fp16", "megatron-lm", 4),
        ("fp16", "torchtitan", 4),
    ]
    assert found.candidates == 4 * space().candidates


def test_values_count_once() -> None:
    twice = {"tp": [1, 1], "zero_stage": [1, 1], "weight_format": ["bf16", "bf16"], "first_spared": [0, 0]}
    once = {name: values[:1] for name, values in twice.items()}
    assert space(**twice).candidates == space(**once).candidates
    # No size inside an expert is that outside.
    assert (
        space("mixtral-8x7b", tp=2, ep=[2, 2], expert_tp=[0, 2]).candidates
        == space("mixtral-8x7b", tp=2, ep=2, expert_tp=0).candidates
    )


def test_full_recomputation_has_every_share_and_group() -> None:
    (rows,) = space(dataclasses.replace(SMALL, layers=6), pp=1, tp=2, recompute="full").rows
    ways = [(way.share, way.layers) for way in rows.recomputations]
    assert ways == [
        (1 / 6, 1),
        (2 / 6, 1),
        (3 / 6, 1),
        (4 / 6, 1),
        (5 / 6, 1),
        (1, 1),
        (1, 2),
        (1, 3),
        (1, 6),
    ]
    (rows,) = space(pp=1, tp=2, recompute="full", recompute_share=[0.5, 1.0], recompute_layers=2).rows
    assert [(way.share, way.layers) for way in rows.recomputations] == [(0.5, 2), (1.0, 2)]


def test_part_of_the_layers_means_full_recomputation() -> None:
    for given in ({"recompute_share": [0.25, 0.5]}, {"recompute_layers": 2}):
        ways = [way for rows in space(**given).rows for way in rows.recomputations]
        assert {way.word for way in ways} == {"full"}
    ways = [way for rows in space(recompute_share=[0.5, 1.0]).rows for way in rows.recomputations]
    assert {way.word for way in ways} == {"none", "operations", "full"}


def test_flash_attention_leaves_no_scores_to_recompute() -> None:
    def words(**given: Any) -> set[str]:
        return {way.word for rows in space(**given).rows for way in rows.recomputations}

    assert words() == {"none", "operations", "full"}
    assert words(flash_attention=False) == set(WORDS["recompute"])
    assert words(recompute="selective") == {"selective"}


def test_one_stage_has_no_schedule() -> None:
    found = space(dataclasses.replace(SMALL, layers=12), pp=1, tp=2)
    assert [len(rows.pipelines) for rows in found.rows] == [1]
    (rows,) = space(dataclasses.replace(SMALL, layers=12), pp=1, tp=2, schedule="gpipe").rows
    assert [way.schedule for way in rows.pipelines] == ["gpipe"]


def test_one_replica_has_nothing_to_shard() -> None:
    def stages(model: str | Model = SMALL, **given: Any) -> set[tuple[int, ...]]:
        found = space(model, "1x4:h100-sxm", tokens=512, batch=4, pp=1, **given)
        return {
            tuple(word for bit, word in enumerate(rows.words["zero_stage"]) if mask >> bit & 1)
            for rows in found.rows
            for mask in rows.zero_stages.tolist()
        }

    every = (1, 0, 2, 3)
    assert stages(tp=4) == {(1,)}
    assert stages(tp=4, zero_stage=[2, 3]) == {(2,)}
    assert stages(tp=2, dp=2) == {every}
    # Parts of a sequence share the weights as replicas do, and so do copies of an expert.
    assert stages(tp=2, cp=2) == {every}
    assert stages("mixtral-8x7b", tp=4, ep=4, expert_tp=1) == {(1,)}
    assert stages("mixtral-8x7b", tp=4, ep=2, expert_tp=1) == {every}


def test_interleaving() -> None:
    def ways(**given: Any) -> set[tuple[str, int, int, int]]:
        model = dataclasses.replace(SMALL, layers=12)
        found = space(model, pp=2, tp=1, batch=4, **given)
        return {
            (one.schedule, one.interleave, one.first_spared, one.last_spared)
            for rows in found.rows
            for one in rows.pipelines
        }

    # Virtual stages of 12 layers, or of 14 where embedding and head count as one each.
    assert {v for schedule, v, *_ in ways() if schedule == "interleaved"} == {2, 3, 6, 7}
    assert ways(interleave=3) == {("interleaved", 3, 0, 0)}
    assert ways(interleave=[1, 2], schedule=["interleaved", "gpipe"]) == {
        ("interleaved", 2, 0, 0),
        ("gpipe", 1, 0, 0),
        ("gpipe", 1, 0, 1),  # of 12 layers in two stages, sparing both ends one changes nothing
    }
    assert ways(first_spared=2, last_spared=[1, 4], schedule="1f1b") == {
        ("1f1b", 1, 2, 1),
        ("1f1b", 1, 2, 4),
    }


@pytest.mark.parametrize(
    ("layers", "pp", "counts"), [(2, 2, {2}), (6, 2, {2, 3, 4}), (6, 4, {2}), (32, 2, {2, 4, 8, 16, 17})]
)
def test_embedding_and_head_may_be_virtual_stages_of_their_own(
    layers: int, pp: int, counts: set[int]
) -> None:
    model = dataclasses.replace(SMALL, layers=layers)
    (rows,) = space(model, "1x4:h100-sxm", tp=4 // pp, pp=pp, batch=8, schedule="interleaved").rows
    assert {way.interleave for way in rows.pipelines} == counts


def test_interleaving_asks_for_groups_of_micro_batches() -> None:
    model = dataclasses.replace(SMALL, layers=12)
    (rows,) = space(model, "1x4:h100-sxm", pp=4, batch=12, schedule="interleaved").rows
    assert sorted(rows.micro_batch_size.tolist()) == [1, 3]  # 12 and 4 micro-batches, not 6, 3, 2 or 1
    assert not space(model, "1x4:h100-sxm", pp=4, batch=6, schedule="interleaved").rows


def test_experts() -> None:
    found = space("mixtral-8x7b", "1x8:h100-sxm", batch=8, pp=1, cp=1)
    every = sizes(found, "tp", "dp", "ep", "expert_tp")
    assert all(8 % (ep * inside) == 0 and tp % inside == 0 for tp, _, ep, inside in every)
    assert {(8, 1, 8, 1), (1, 8, 8, 1), (8, 1, 1, 8), (2, 4, 4, 2)} <= every
    fixed = space("mixtral-8x7b", "1x8:h100-sxm", batch=8, ep=[2, 4], expert_tp=0)
    assert {ep for (ep,) in sizes(fixed, "ep")} == {2, 4}
    assert all(inside == tp for tp, inside in sizes(fixed, "tp", "expert_tp"))


def test_odd_sequences_are_not_cut() -> None:
    cut = sizes(space("llama-2-7b", "1x8:h100-sxm", tokens=4 * 513, batch=8), "cp", "tp")
    assert {cp for cp, _ in cut} == {1, 2}  # 4 x cp equal parts there are not
    assert {cp for (cp,) in sizes(space("llama-2-7b", "1x8:h100-sxm", tokens=513, batch=8), "cp")} == {1}


def test_sequence_parallelism_cuts_evenly() -> None:
    found = space("llama-2-7b", "1x8:h100-sxm", tokens=4 * 513, batch=8)
    both = sizes(found, "cp", "tp", "sequence_parallel")
    # 2052 tokens divide by 2 and 4; half of them by 2 alone. On one card there is nothing to cut.
    assert {(tp, flag) for cp, tp, flag in both if cp == 1} == {
        (1, True),
        (2, True),
        (2, False),
        (4, True),
        (4, False),
        (8, False),
    }
    assert {(tp, flag) for cp, tp, flag in both if cp == 2} == {(1, True), (2, True), (2, False), (4, False)}


def test_as_many_cards_as_are_asked_for() -> None:
    found = space("llama-2-7b", "1x8:h100-sxm", cards=6, batch=12)
    assert {tp * pp * cp * dp for tp, pp, cp, dp in sizes(found, "tp", "pp", "cp", "dp")} == {6}


@pytest.mark.parametrize(
    ("model", "given"),
    [
        (SMALL, {}),
        (SMALL, {"pp": 1, "tp": [1, 3]}),
        (SMALL, {"dp": [3, 4], "micro_batch_size": [2, 3]}),
        (SMALL, {"micro_batch_size": 5}),
        (SMALL, {"tp": 5}),
        (catalog.model("nemotron-3-nano-4b"), {"pp": 1, "cp": 1}),
        (catalog.model("mixtral-8x7b"), {"ep": 4, "cp": 1}),
    ],
)
def test_no_other_numbers_of_cards_have_plans(model: Model, given: dict[str, Any]) -> None:
    load = TrainingWorkload(sequence_tokens=24, global_batch_size=12)
    found = card_numbers(model, load, given, most=24)
    assert found == sorted(set(found), reverse=True)
    used = {
        cards
        for cards in range(1, 25)
        if space(model, "1x8:h100-sxm", tokens=24, batch=12, cards=cards, **given).rows
    }
    assert used <= set(found)
    if not model.is_moe:
        assert used == set(found)


def test_a_size_that_is_illegal_by_itself() -> None:
    load = TrainingWorkload(sequence_tokens=24, global_batch_size=12)
    legal = {
        axis: [size for size in range(1, 25) if not size_broken(SMALL, load, axis, size)]
        for axis in ("tp", "pp", "cp", "dp")
    }
    assert legal == {
        "tp": [1, 2, 3, 4, 6, 12],  # of 12 heads
        "pp": [1, 2],
        "cp": [1, 2, 3, 4, 6, 12],
        "dp": [1, 2, 3, 4, 6, 12],
    }


def test_orders_of_ranks_that_differ() -> None:
    def orders(cluster: str, **given: Any) -> int:
        found = space("llama-2-7b", cluster, batch=16, **given)
        return int(np.bitwise_or.reduce(np.concatenate([rows.rank_orders for rows in found.rows])))

    assert orders("2x4:h100-sxm@ib-ndr", tp=2, pp=2) == 0b11
    assert orders("2x4:h100-sxm@ib-ndr", tp=4, pp=2) == 0b01  # both lie between hosts
    assert orders("1x8:h100-sxm", tp=2, pp=2) == 0b01  # both lie inside the host
    assert orders("2x4:h100-sxm@ib-ndr", tp=2, pp=2, rank_order="tp-cp-pp-dp") == 0b1


def test_cards_in_the_hosts_memory_offload_to_drives_alone() -> None:
    assert all(rows.words["offload"] == ("none",) for rows in space("llama-2-7b", "1x1:m2-ultra").rows)
    for given in ("nvme", ["memory", "nvme"]):
        found = space("llama-2-7b", "1x1:m2-ultra", offload_to=given)
        assert [one.offload_to for one in found.variants] == ["nvme"]
        assert all(rows.words["offload"] == WORDS["offload"] for rows in found.rows)
    assert not space("llama-2-7b", "1x1:m2-ultra", offload="optimizer").rows


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"tp": []}, "tp has no values to choose from"),
        ({"engine": ()}, "engine has no values"),
        ({"tp": 0}, "tp must be at least 1"),
        ({"tp": [1, 2.5]}, "tp must be a whole number"),
        ({"tp": [[1]]}, r"tp must be a whole number, not \[1\]"),
        ({"zero_stage": [1, 4]}, "zero_stage must be 0, 1, 2 or 3"),
        ({"schedule": "1f1c"}, "schedule must be one of"),
        ({"recompute_share": [0.5, 1.5]}, "recompute_share must be in 0..1"),
        ({"ep": [1, 2]}, "needs a mixture-of-experts model"),
        ({"expert_tp": 2}, "expert_tp needs a mixture-of-experts model"),
        ({"schedule": "1f1b", "interleave": [2, 3]}, "interleave > 1 needs the schedule interleaved"),
        (
            {"schedule": "interleaved", "interleave": 1},
            "the schedule interleaved needs an interleave of at least 2",
        ),
    ],
)
def test_what_no_plan_can_have(given: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        space(**given)


def test_a_row_is_a_plan() -> None:
    found = space("mixtral-8x7b", "1x8:h100-sxm", batch=8, tp=2, pp=2, expert_tp=[0, 1], zero_stage=3)
    rows = found.rows[0]
    base = TrainingPlan(engine="megatron-lm")
    words = {"zero_stage": 3, "schedule": "gpipe"}
    for row in range(len(rows)):
        plan = rows.plan(base, words, row, len(rows.recomputations) - 1)
        again = rows.recomputations[-1]
        assert (plan.tp, plan.pp, plan.engine, plan.zero_stage) == (2, 2, "megatron-lm", 3)
        assert (plan.recompute, plan.recompute_share) == (again.word, again.share)
        assert plan.expert_tp == (0 if rows.expert_tp[row] == 2 else 1)
        assert plan.sequence_parallel is bool(rows.sequence_parallel[row])


def test_a_published_question_has_millions_of_plans() -> None:
    """GPT-3 on 512 cards: what speed is measured on. Counted, not evaluated."""
    found = space("gpt-3-175b", "64x8:a100-sxm-80gb@ib-hdr", tokens=2048, batch=3072)
    assert found.candidates - sum(found.removed.values()) >= 4_900_000
    assert found.candidates > 5 * 4_900_000
