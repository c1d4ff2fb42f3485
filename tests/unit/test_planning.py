"""What edges ask: one plan or the best, and clusters side by side."""

import pytest

import farthing
from farthing import api
from farthing.errors import InvalidInput, UnknownName
from farthing.planning import compare, plan


def test_a_search_gives_what_the_front_door_does() -> None:
    estimate, found = plan("llama-2-70b", "1x8:h100-sxm", tp=(4, 8), objective="usd")
    assert found is not None
    assert estimate == farthing.search("llama-2-70b", "1x8:h100-sxm", tp=[4, 8], objective="usd").best


def test_without_a_search_one_plan_is_evaluated() -> None:
    estimate, found = plan("llama-2-7b", "1x8:a100-sxm-80gb", task="training", search=False, tp=2)
    assert found is None
    assert estimate == farthing.train("llama-2-7b", "1x8:a100-sxm-80gb", tp=2)


@pytest.mark.parametrize("wish", [{"objective": "usd"}, {"tpot_s": 0.1}, {"tp": (1, 2)}, {"front": ["usd"]}])
def test_one_plan_has_no_wishes(wish: dict[str, object]) -> None:
    with pytest.raises(InvalidInput, match="without a search"):
        plan("llama-2-7b", "rtx-4090", search=False, **wish)


def test_a_derivation_is_that_of_the_plan_and_its_prices() -> None:
    told, _ = plan("llama-2-7b", "rtx-4090", explain=True, usd_per_kwh=0.5)
    plain, _ = plan("llama-2-7b", "rtx-4090", usd_per_kwh=0.5)
    assert told.terms
    assert told.costs == plain.costs


def test_clusters_are_compared_by_their_best_plans() -> None:
    names = ["1x8:rtx-4090", "1x8:h100-sxm"]
    plans = compare("llama-2-70b", names, batch_size=16)
    for name, one in zip(names, plans, strict=True):
        assert one.estimate == farthing.search("llama-2-70b", name, batch_size=16).best
        assert one.cluster == name
    ours, theirs = (one.estimate for one in plans)
    assert plans[0].relative["tokens_per_s"] == 1
    assert plans[1].relative["tpot_s"] == pytest.approx(theirs.tpot_s / ours.tpot_s)
    assert plans[1].curve == api.batch_curve(
        "llama-2-70b", names[1], workload=theirs.workload, plan=theirs.plan
    )


def test_a_cluster_that_does_not_do_says_why() -> None:
    small, large = compare("llama-2-70b", ["rtx-4090", "1x8:h100-sxm"])
    assert not small.does
    assert "GiB more" in small.breaks
    assert large.does
    assert large.relative == {}  # there is nothing to hold it against
    (late,) = compare("llama-2-7b", ["rtx-4090"], tpot_s=1e-6)
    assert not late.does
    assert "a token" in late.breaks


@pytest.mark.parametrize("clusters", [[], ["rtx-4090"] * 7])
def test_one_to_six_clusters_are_compared(clusters: list[str]) -> None:
    with pytest.raises(InvalidInput, match="one to 6"):
        compare("llama-2-7b", clusters)


def test_unknown_names_are_errors() -> None:
    with pytest.raises(UnknownName):
        compare("llama-2-7b", ["rtx-4900"])
