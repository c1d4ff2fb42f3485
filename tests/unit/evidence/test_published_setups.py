"""The table of published set-ups, and which of them a row may have run."""

from __future__ import annotations

from farthing import catalog
from farthing.evidence import names
from farthing.evidence.published_setups import published, setups_of


def test_the_table_is_sane() -> None:
    for (model, system, backend, _, prompt, answer, users), found in published().items():
        assert model in catalog.models()
        assert names.accelerator_of(system) in catalog.accelerators()
        assert backend in ("trtllm", "sglang", "vllm")
        assert min(prompt, answer, users) > 0
        for one in found:
            assert one.since <= one.until
            assert one.draft_tokens is None or 0 <= one.draft_tokens <= 3
            assert 0 < one.cards <= 144
            assert one.decode.count > 0
            assert one.prefill is None or one.prefill.count > 0


CELLS = {
    "silicon_data_source": "source_file=2026-03-25.csv; concurrency=64; measured=2025-12-01T00:00:00Z",
    "system": "b200_sxm",
    "backend": "sglang",
    "precision": "fp8",
    "mode": "agg",
    "isl": "1024",
    "osl": "1024",
    "tp_size": "8.0",
}


def test_rows_of_other_collections_have_none() -> None:
    assert setups_of(CELLS, "deepseek-v3")
    assert not setups_of(CELLS | {"silicon_data_source": "ours; concurrency=64"}, "deepseek-v3")
    assert not setups_of(CELLS, "llama-2-7b")


def test_one_network_has_two_names() -> None:
    assert setups_of(CELLS, "deepseek-r1") == setups_of(CELLS, "deepseek-v3")


def test_the_day_counts() -> None:
    early = CELLS["silicon_data_source"].replace("2025-12-01", "2025-11-05")
    for one in setups_of(CELLS | {"silicon_data_source": early}, "deepseek-v3"):
        assert str(one.since) <= "2025-11-05" < str(one.until)
    # A run before the set-up was merged is of the next one; one years before is of none.
    before = CELLS["silicon_data_source"].replace("2025-12-01", "2025-10-20")
    assert setups_of(CELLS | {"silicon_data_source": before}, "deepseek-v3")
    never = CELLS["silicon_data_source"].replace("2025-12-01", "2023-10-20")
    assert not setups_of(CELLS | {"silicon_data_source": never}, "deepseek-v3")


def test_users_sixteen_and_more_wait_for_thirty_steps() -> None:
    (one,) = {setup.poll_steps for setup in setups_of(CELLS, "deepseek-v3")}
    assert one == 30
