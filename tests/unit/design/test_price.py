"""The front for described builds: plain arguments become records, and nothing unknown passes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from farthing import catalog
from farthing.design.given import given_build
from farthing.design.price import price_build
from farthing.design.shop import market
from farthing.errors import FarthingError, InvalidInput
from farthing.records.design import Build, Ownership
from farthing.records.plan import InferencePlan
from farthing.records.workload import InferenceWorkload

MODEL = catalog.model("llama-3.1-8b")


def priced(**options: Any) -> Build:
    asked = {"accelerator": "rtx-3090", "accelerators_per_host": 1, "host": "am4-b550-1-card", "sequences": 8}
    return price_build(MODEL, **{**asked, **options})


def test_options_are_fields_of_the_records() -> None:
    plain = priced(weight_format="awq-int4", prompt_tokens=300, output_tokens=100, years=2, usd_per_kwh=0.3)
    records = given_build(
        market(),
        MODEL,
        InferenceWorkload(prompt_tokens=300, output_tokens=100),
        InferencePlan(weight_format="awq-int4"),
        accelerator="rtx-3090",
        accelerators_per_host=1,
        host="am4-b550-1-card",
        sequences=8,
        ownership=Ownership(years=2, usd_per_kwh=0.3),
    )
    assert plain == records


def test_a_country_sets_electricity() -> None:
    assert priced(country="de").usd_per_s > priced(country="us").usd_per_s


def test_own_prices_count(tmp_path: Path) -> None:
    before = priced()
    cheaper = priced(usd={"rtx-3090": 1.0})
    card = next(row.usd for row in before.bill if row.part == "accelerator")
    assert before.capital_usd - cheaper.capital_usd == pytest.approx(card - 1.0)
    file = tmp_path / "prices.csv"
    file.write_text("item,kind,usd,per,date,source\nrtx-3090,used,5,unit,2026-11-01,shop\n")
    assert next(row.usd for row in priced(prices=file).bill if row.part == "accelerator") == 5.0


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"batch_size": 4}, "say sequences"),
        ({"wieght_format": "fp8"}, "did you mean weight_format"),
        ({"usd": {"rtx-3090": -1.0}}, "must be a number of 0 or more"),
        ({"usd_per_hour": {"rtx-3090": float("nan")}}, "must be a number of 0 or more"),
        ({"years": 0}, "years must be in (0, 100]"),
        ({"tokens_per_s": -5.0}, "tokens_per_s must be a number of 0 or more"),
        ({"tp": 0}, "tp must be at least 1"),
    ],
)
def test_bad_questions_are_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        priced(**options)
    assert words in str(caught.value)


def test_an_empty_file_of_prices_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "prices.csv"
    file.write_text("")
    with pytest.raises(FarthingError):
        priced(prices=file)
