"""Runs: the same rows however they are made, and nothing lost on the way."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest

import farthing
from farthing import api
from farthing.errors import FarthingError, InvalidInput
from farthing.sweeps import run
from farthing.sweeps.answer import answers
from farthing.sweeps.workers import in_workers

SWEEP: dict[str, Any] = {
    "task": "inference",
    "models": ["llama-2-7b", "llama-2-70b"],
    "clusters": ["1x8:rtx-4090", "1x2:h100-sxm"],
    "workload": {"batch_size": [1, 8, 64]},
    "plan": {"tp": [1, 2, 3], "weight_format": ["fp16", "int8"]},
}
FORMATS = ["csv", "parquet"]


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Chunks of seven questions."""
    monkeypatch.setattr(run, "CHUNK", 7)


class Stop:
    """A progress that raises once so many questions are done."""

    def __init__(self, at: int, error: BaseException) -> None:
        self.at = at
        self.error = error

    def __call__(self, done: int, total: int) -> None:
        if done >= self.at:
            raise self.error


def test_in_memory() -> None:
    found = farthing.sweep(SWEEP)
    grid = api.read_sweep(SWEEP)
    assert found.questions == len(grid) == len(found.rows) == 72
    assert [list(row.values()) for row in found.rows] == answers(grid, range(72))
    assert found.errors == sum(row["error"] is not None for row in found.rows) > 0
    assert found.fitting == sum(row["fits"] is True for row in found.rows) > 0
    assert (found.resumed, found.out, found.machines) == (0, None, {})


def test_the_front_door_stays_open() -> None:
    assert farthing.sweep(SWEEP).questions == farthing.sweep(SWEEP).questions, "a module took its name"


def test_a_grid_that_was_read() -> None:
    assert farthing.sweep(api.read_sweep(SWEEP)).rows == farthing.sweep(SWEEP).rows


@pytest.mark.parametrize("ending", FORMATS)
def test_rows_of_a_file_are_those_in_memory(tmp_path: Path, ending: str) -> None:
    out = tmp_path / f"out.{ending}"
    found = farthing.sweep(SWEEP, out)
    assert found.out == out
    assert found.rows == farthing.sweep(SWEEP).rows
    assert [path.name for path in tmp_path.iterdir()] == [out.name]


@pytest.mark.usefixtures("few")
@pytest.mark.parametrize("ending", FORMATS)
def test_an_interrupt_loses_nothing(tmp_path: Path, ending: str) -> None:
    whole, out = tmp_path / f"whole.{ending}", tmp_path / f"out.{ending}"
    farthing.sweep(SWEEP, whole)
    for at in (20, 50):
        with pytest.raises(
            KeyboardInterrupt, match=r"kept in .*partial: the same command goes on from there"
        ):
            farthing.sweep(SWEEP, out, progress=Stop(at, KeyboardInterrupt()))
        assert not out.exists()
    seen: list[tuple[int, int]] = []
    found = farthing.sweep(SWEEP, out, progress=lambda *both: seen.append(both))
    assert seen[0] == (found.resumed, 72)
    assert seen[-1] == (72, 72)
    assert 50 <= found.resumed < 72
    assert out.read_bytes() == whole.read_bytes()
    assert not out.with_name(out.name + ".partial").exists()


@pytest.mark.usefixtures("few")
def test_rows_that_are_there_are_not_asked_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "out.csv"
    with pytest.raises(KeyboardInterrupt):
        farthing.sweep(SWEEP, out, progress=Stop(40, KeyboardInterrupt()))
    asked: list[int] = []

    def noted(grid: Any, places: Any) -> Any:
        asked.extend(places)
        return answers(grid, places)

    monkeypatch.setattr(run, "answers", noted)
    assert asked == []
    found = farthing.sweep(SWEEP, out)
    assert len(asked) == 72 - found.resumed
    assert len(set(asked)) == len(asked)


@pytest.mark.usefixtures("few")
def test_a_changed_sweep_is_not_mixed_with_the_old(tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    with pytest.raises(KeyboardInterrupt):
        farthing.sweep(SWEEP, out, progress=Stop(20, KeyboardInterrupt()))
    changed = {**SWEEP, "workload": {"batch_size": [1, 8, 65]}}
    with pytest.raises(InvalidInput, match="--restart"):
        farthing.sweep(changed, out)
    with pytest.raises(KeyboardInterrupt, match="the same command without --restart goes on"):
        farthing.sweep(changed, out, restart=True, progress=Stop(20, KeyboardInterrupt()))
    assert farthing.sweep(changed, out, restart=True).resumed == 0


@pytest.mark.usefixtures("few")
def test_a_fault_says_where_the_rows_are(tmp_path: Path) -> None:
    with pytest.raises(FarthingError, match=r"no room; .* of 72 questions are answered and kept in"):
        farthing.sweep(SWEEP, tmp_path / "out.csv", progress=Stop(20, FarthingError("no room")))


def test_what_is_there_is_not_overwritten(tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    out.write_text("old")
    with pytest.raises(InvalidInput, match="force=True"):
        farthing.sweep(SWEEP, out)
    assert out.read_text() == "old"
    assert farthing.sweep(SWEEP, out, force=True).rows


@pytest.mark.skipif(not hasattr(os, "symlink") or sys.platform == "win32", reason="no links")
def test_links_stay(tmp_path: Path) -> None:
    real, link = tmp_path / "real.csv", tmp_path / "link.csv"
    link.symlink_to(real)
    farthing.sweep(SWEEP, link)
    assert link.is_symlink()
    assert real.is_file()


@pytest.mark.parametrize("workers", [0, -1, 257, 1.5, True, "2"])
def test_numbers_of_workers(workers: Any) -> None:
    with pytest.raises(InvalidInput, match="workers must be a whole number"):
        farthing.sweep(SWEEP, workers=workers)


def test_workers_give_the_same_rows() -> None:
    assert farthing.sweep(SWEEP, workers=2).rows == farthing.sweep(SWEEP).rows


class Bomb:
    """A place in the grid that ends whatever process unpacks it."""

    def __reduce__(self) -> Any:
        return (os._exit, (1,))


def test_a_dead_worker_is_told() -> None:
    chunks: Any = iter([[0], [Bomb()], [1]])
    with pytest.raises(FarthingError, match="a worker process died"):
        list(in_workers(api.read_sweep(SWEEP), chunks, 2))


def test_without_ray(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(InvalidInput, match=r"needs the package ray: pip install 'farthing\[ray\]'"):
        farthing.sweep(SWEEP, tmp_path / "out.csv", ray="auto")
    assert not list(tmp_path.iterdir())


def test_ray_and_workers_exclude_each_other() -> None:
    with pytest.raises(InvalidInput, match="not both"):
        farthing.sweep(SWEEP, ray="auto", workers=2)
