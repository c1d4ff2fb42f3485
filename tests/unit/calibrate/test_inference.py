from __future__ import annotations

import math

import farthing
from farthing.calibrate.inference import DERIVED, FITS, derive, selected, trying
from farthing.evidence.load import shipped
from farthing.evidence.split import is_fitted
from farthing.records.engine_efficiency import EngineEfficiency


def test_only_fitted_sources_are_fitted_to() -> None:
    cases = shipped("inference")
    for fit in FITS:
        mine = selected(fit, cases)
        assert len(mine) >= 5, fit
        assert all(is_fitted(case) for case in mine)


def test_a_trial_lasts_as_long_as_its_block() -> None:
    plain = farthing.infer("llama-2-7b", "h100-sxm", engine="vllm-2024").tpot_s
    with trying(EngineEfficiency(engine="vllm-2024", step_s=0.1)):
        assert farthing.infer("llama-2-7b", "h100-sxm", engine="vllm-2024").tpot_s > 0.1
    assert farthing.infer("llama-2-7b", "h100-sxm", engine="vllm-2024").tpot_s == plain


def test_derived_rows_say_what_they_follow() -> None:
    for rule in DERIVED:
        row = derive(rule)
        assert row.fitted_on.startswith(f"none: as {rule.like}")
        assert all(not math.isnan(getattr(row, field)) for field in rule.fields)
