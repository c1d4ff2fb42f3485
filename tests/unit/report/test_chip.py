"""Tables of chips: every term is there, and what is not known is said."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from farthing import api
from farthing.estimate import chip
from farthing.records.hardware import Price
from farthing.report.chip import chip_comparison, chip_list, chip_report, facts

Render = Callable[..., str]


@pytest.fixture(autouse=True)
def _price_of_one_day(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tables are compared, not markets: every card costs the same, whatever prices ship."""

    def asked(name: str, *, among: Sequence[Price]) -> Price:
        return Price(item=name, kind="purchase", usd=35_000.0, per="unit", date="2023-09-27", source="a shop")

    monkeypatch.setattr(chip, "purchase_price", asked)


def test_a_line_for_each(render: Render) -> None:
    lines = render(chip_list([api.chip_cost(name) for name in ("h100-sxm", "mi250x")])).splitlines()
    assert lines[1].split() == ["h100-sxm", *["67%", "353", "1,200", "300", "300", "2,153", "35,000", "94%"]]
    # Its package has no known price.
    assert lines[2].split()[4] == "-"
    assert lines[2].split()[6].startswith("~")


def test_side_by_side_has_every_term(render: Render) -> None:
    shown = render(chip_comparison([api.chip_cost("h100-sxm"), api.chip_cost("mi250x")]))
    for words in ("814 mm²", "63", "67.5%", "$352.79", "2 x $", "unknown", "at least $", "margin", "$35,000"):
        assert words in shown
    assert "other dies" not in shown
    assert "other dies" in render(chip_comparison([api.chip_cost("mi300x")]))


def test_a_published_bill_says_no_more_than_it_has() -> None:
    named = dict(facts(api.chip_cost("rtx-4090", article=True)))
    assert not {"process", "wafer", "yield", "die area", "range of sources"} & set(named)
    assert named["total"] == "$890.00"


def test_the_derivation_ends_in_the_total(render: Render) -> None:
    cost: Any = api.chip_cost("h100-sxm", explain=True)
    shown = render(chip_report(cost, citation=api.citation))
    for words in ("Derivation", "in USD", "= 15000 / 42.52", "harvested yield", "[koren-1998]", "132 of 144"):
        assert words in shown
