"""Schedulers of engines: each has a source, each engine one default on each card."""

from __future__ import annotations

import pytest

from farthing import catalog
from farthing.errors import UnknownName

ROWS = catalog.schedulers()


@pytest.mark.parametrize("id", ROWS)
def test_rows_are_sane(id: str) -> None:
    row = ROWS[id]
    assert row.source
    assert set(row.engines.split()) <= set(catalog.engines())
    architectures = {card.architecture for card in catalog.accelerators().values()}
    assert set(row.architectures.split()) <= architectures
    assert not (row.holds_batch and row.mixes)
    assert row.slots <= (row.reserved_share == 0)
    fitted = row.request_s or row.stream_s or row.reading_kernel_s or row.reading_factor != 1
    assert bool(fitted) == bool(row.fitted_on), "fitted constants say on what"


@pytest.mark.parametrize("engine", sorted({name for row in ROWS.values() for name in row.engines.split()}))
def test_every_card_has_a_default(engine: str) -> None:
    for card in catalog.accelerators().values():
        found = catalog.usual_scheduler(engine, card)
        assert found is not None
        assert engine in found.engines.split()


def test_larger_cards_read_more_at_a_time() -> None:
    budgets = [
        catalog.usual_scheduler("sglang", catalog.accelerator(card)).token_budget  # type: ignore[union-attr]
        for card in ("rtx-4090", "l40s", "h100-sxm", "b200-sxm")
    ]
    assert budgets == [2048, 4096, 8192, 16384]


def test_an_engine_without_one_has_none() -> None:
    assert catalog.usual_scheduler("mlx", catalog.accelerator("m2-ultra")) is None


def test_unknown_names_get_the_nearest() -> None:
    with pytest.raises(UnknownName, match="vllm"):
        catalog.scheduler("vlm")
