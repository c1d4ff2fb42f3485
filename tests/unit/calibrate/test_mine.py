"""A user's own runs move the constants, a few only a little, and never past the hardware."""

from __future__ import annotations

from pathlib import Path

import pytest

import farthing
from farthing import api, catalog
from farthing.calibrate.mine import refit
from farthing.catalog import own
from farthing.errors import InvalidInput
from farthing.estimate.subject import refitted_note
from farthing.records.efficiency import Efficiency
from farthing.records.engine_efficiency import NO_OVERHEAD, EngineEfficiency
from farthing.report.accuracy import refit_report


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FARTHING_CONFIG", str(tmp_path / "config"))
    catalog.engine_efficiency.cache_clear()


def runs(header: str, folder: Path, rates: list[float]) -> Path:
    file = folder / "runs.csv"
    rows = [f"{n},us,Q4_0,0,64,decode_tok_s,{rate}\n" for n, rate in enumerate(rates)]
    file.write_text(header + "".join(rows), "utf-8")
    return file


def shipped_share() -> float:
    with own.trying(()):
        catalog.engine_efficiency.cache_clear()
        share = _share()
    catalog.engine_efficiency.cache_clear()
    return share


def _share() -> float:
    card, weights = catalog.accelerator("rtx-4090"), catalog.number_format("fp16")
    return catalog.engine_efficiency("llama.cpp", card, weights).memory_share


def test_of_very_many_rows_an_even_sample_is_fitted(simple_reader: str, tmp_path: Path) -> None:
    found = refit(runs(simple_reader, tmp_path, [70.0] * 900), keep=False)
    assert (found.rows, found.rows_fitted, found.runs) == (900, 300, 300)
    shown = "".join(str(part) for part in refit_report(found).renderables)  # type: ignore[attr-defined]
    assert "fitted to an even sample, 300 of the file's 900 rows" in shown


def test_many_runs_correct_the_constant(simple_reader: str, tmp_path: Path) -> None:
    was = shipped_share()
    slower = 100 * was * 0.7
    found = refit(runs(simple_reader, tmp_path, [slower * (1 + 0.01 * (n % 3)) for n in range(60)]))
    assert found.error_before == pytest.approx(0.41, abs=0.03)
    assert found.error_after < 0.05
    assert found.error_unseen < 0.06
    assert _share() == pytest.approx(0.7 * was, rel=0.05)
    (constant,) = found.constants
    assert (constant.name, constant.runs) == ("memory_share", 60)
    estimate = farthing.infer("llama-2-7b", "1x1:rtx-4090", engine="llama.cpp")
    assert "constants refitted to your 60 runs" in estimate.assumptions
    assert api.forget_refit()
    assert _share() == was
    assert not api.forget_refit()


def test_a_few_runs_move_it_little(simple_reader: str, tmp_path: Path) -> None:
    was = shipped_share()
    found = refit(runs(simple_reader, tmp_path, [100 * was * 0.5] * 3))
    assert 0.6 < found.constants[0].factor < 0.9


def test_too_few_runs_say_what_is_missing(simple_reader: str, tmp_path: Path) -> None:
    found = refit(runs(simple_reader, tmp_path, [50.0, 50.0]))
    assert found.constants == ()
    assert found.file == ""
    assert not own.file().exists()
    assert any("memory_share of llama.cpp on ada-geforce stays: 2 of the 3" in line for line in found.missing)


def test_no_rate_beats_the_hardware() -> None:
    hardware = Efficiency(id="ada", memory_share=0.9, matmul_share=0.8)
    greedy = EngineEfficiency(engine="vllm", architecture="ada", memory_share=3.0, fitted_on="your 9 runs")
    with own.trying([greedy]):
        found = own.overlaid(NO_OVERHEAD, "vllm", ["ada"], hardware)
        assert found.memory_share * hardware.memory_share == pytest.approx(1.0)
        assert own.overlaid(NO_OVERHEAD, "sglang", ["ada"], hardware) == NO_OVERHEAD


def test_runs_of_kernels_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "gemm.csv"
    file.write_text("system,backend,gemm_dtype,m,n,k,latency_ms\nh100_sxm,vllm,fp8,1,2,3,0.1\n")
    with pytest.raises(InvalidInput, match="single kernels"):
        refit(file)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "engine,archi",
        "engine,architecture,memory_share,fitted_on\n",
        "engine,architecture,memory_share,fitted_on\nvllm,ada,0.9,your 9 runs\nvllm,ho",
        "engine,architecture,memory_share,fitted_on\nvllm,ada,fast,your 9 runs\n",
        "engine,architecture,memory_share,fitted_on\nvllm,ada,-1,your 9 runs\n",
        "engine,architecture,memory_share,fitted_on\nvllm,ada,0.9,your 9 ru",
    ],
)
def test_a_broken_file_says_how_to_remove_it(text: str) -> None:
    own.folder().mkdir()
    own.file().write_text(text, "utf-8")
    own._read.cache_clear()
    with pytest.raises(InvalidInput, match="farthing validate --forget"):
        farthing.infer("llama-2-7b", "1x1:rtx-4090", engine="vllm")
    assert api.forget_refit()
    assert farthing.infer("llama-2-7b", "1x1:rtx-4090", engine="vllm").fits


def test_notes_are_of_own_runs_alone() -> None:
    assert refitted_note.__doc__
    assert not [n for n in farthing.infer("llama-2-7b", "1x1:rtx-4090").assumptions if "refitted" in n]
