"""Cards side by side: the table and the charts say what the record says."""

from __future__ import annotations

from typing import Any

import pytest

from farthing import catalog
from farthing.design.compare import compare_cards
from farthing.records.card_comparison import CardPlan
from farthing.report.card_comparison import card_charts, card_table

Plans = tuple[CardPlan, ...]


@pytest.fixture(scope="module")
def plans() -> Plans:
    return compare_cards(catalog.model("llama-2-70b"), ["rtx-4090", "mi300x"], lora_rank=16)


def test_the_table_has_figures_ratios_and_what_does_not_fit(plans: Plans, render: Any) -> None:
    text = render(card_table(plans))
    assert max(map(len, text.splitlines())) <= 80
    served = plans[1]
    row = next(line for line in text.splitlines() if line.strip().startswith("mi300x"))
    assert f"({served.relative['tokens_per_s_per_accelerator']:#.3g}" in row.replace("0.)", "0)")
    assert "does not fit on 8 cards" in text
    assert "LoRA training  of one card; in brackets: times that of rtx-4090" in text
    assert "Training  of one card; in brackets: times that of mi300x" in text


def test_charts_hold_the_ratios(plans: Plans) -> None:
    charts = card_charts(plans, "llama-2-70b")
    fields = ("tokens_per_s_per_accelerator", "tokens_per_s_per_usd", "rented_tokens_per_usd")
    for chart, field in zip(charts, fields, strict=True):
        drawn = {(one.name, point.label): point.x for one in chart.series for point in one.points}
        assert drawn == {
            ("inference", "rtx-4090"): 1.0,
            ("inference", "mi300x"): plans[1].relative[field],
            ("training (against mi300x)", "mi300x"): 1.0,
            ("LoRA training", "rtx-4090"): 1.0,
            ("LoRA training", "mi300x"): plans[5].relative[field],
        }
        assert chart.x.title == "times that of rtx-4090"
        assert chart.note == "No plan on one host for training on rtx-4090."


def test_without_the_first_cards_rent_the_others_have_their_own_figures() -> None:
    plans = compare_cards(catalog.model("llama-3.1-8b"), ["m2-ultra", "h100-sxm"])
    *_, rent = card_charts(plans, "llama-3.1-8b")
    assert rent.x.text == "tokens [1/USD]"
    assert rent.note == "No price is known of m2-ultra."
    assert [[point.label for point in one.points] for one in rent.series] == [["h100-sxm"], ["h100-sxm"]]
    assert rent.series[0].points[0].x == plans[1].rented_tokens_per_usd


def test_nothing_that_fits_is_no_error(render: Any) -> None:
    plans = tuple(
        CardPlan(accelerator="t4", task=task, misfit="does not fit on 8 cards")
        for task in ("inference", "training")
    )
    assert render(card_table(plans)).count("does not fit") == 2
    for chart in card_charts(plans, "x"):
        assert chart.note == "No plan on one host for inference on t4; training on t4."
        assert not any(one.points for one in chart.series)
