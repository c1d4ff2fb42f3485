"""Charts of designs: what is named in them."""

from __future__ import annotations

import pytest

import farthing
from farthing.records.design import DesignLimits, DesignResult
from farthing.report.design_charts import design_charts


def designed(*front: str) -> DesignResult:
    return farthing.design(
        "llama-3.1-8b",
        accelerators=("rtx-3090", "l4", "h100-sxm"),
        tokens_per_s=400,
        limits=DesignLimits(tpot_s=0.05),
        front=front,
    )


@pytest.mark.parametrize("front", [(), ("usd", "tpot")])
def test_each_accelerator_is_named_once_on_the_front_or_beside_it(front: tuple[str, ...]) -> None:
    result = designed(*front)
    found = (*result.front, *result.best)
    kinds = {build.accelerator + (", rented" if build.way == "rent" else "") for build in found}
    labels = [point.label for one in design_charts(result)[0].series for point in one.points if point.label]
    assert sorted(labels) == sorted(kinds)
    assert len(kinds) > 2
