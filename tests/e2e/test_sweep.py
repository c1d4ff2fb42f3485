"""``farthing sweep`` as a user meets it: as a process that is interrupted, killed, and goes on."""

from __future__ import annotations

import csv
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

SMALL = """
task = "inference"
models = ["llama-3.1-8b", "llama-3.3-70b"]
clusters = ["rtx-4090", "1x8:h100-sxm"]
[workload]
batch_size = [1, 8]
[plan]
tp = [1, 3, 8]
"""

LARGE = f"""
task = "inference"
models = ["llama-3.3-70b", "qwen3-32b"]
clusters = ["1x8:h100-sxm", "1x8:rtx-4090"]
[workload]
batch_size = {list(range(1, 126))}
[plan]
tp = [2, 4, 8]
"""
LARGE_QUESTIONS = 1500
LISTENING = """
import signal, sys
from farthing.cli.main import main
if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.exit(main())
"""
"""The program, also where who runs the tests has told their processes to ignore interrupts."""

COMMAND = (sys.executable, "-c", LISTENING, "sweep", "large.toml", "--out", "large.csv")
PATIENCE_S = 100


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("grid.toml").write_text(SMALL, "utf-8")
    Path("large.toml").write_text(LARGE, "utf-8")


def names() -> set[str]:
    return {path.name for path in Path().iterdir()} - {"grid.toml", "large.toml"}


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The table of the large sweep, made in one go."""
    import tomllib

    import farthing

    out = tmp_path_factory.mktemp("whole") / "large.csv"
    farthing.sweep(tomllib.loads(LARGE), out)
    return out.read_bytes()


def test_a_table(run: Any) -> None:
    found = run("sweep", "grid.toml", "--out", "grid.csv")
    assert (found.code, found.err) == (0, "")
    assert "24 questions: " in found.out
    assert "12 cannot be asked" in found.out
    assert "wrote grid.csv" in found.out
    with open("grid.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["question"]) for row in rows] == list(range(1, 25))
    assert [(row["model"], row["cluster"], row["batch_size"], row["tp"]) for row in rows] == [
        (model, cluster, batch, tp)
        for model in ("llama-3.1-8b", "llama-3.3-70b")
        for cluster in ("rtx-4090", "1x8:h100-sxm")
        for batch in ("1", "8")
        for tp in ("1", "3", "8")
    ]
    assert all(bool(row["error"]) != bool(row["ttft_s"]) for row in rows)
    asked = json.loads(run("infer", "llama-3.3-70b", "--on", "1x8:h100-sxm", "--tp", "8", "--json").out)
    (same,) = (
        row
        for row in rows
        if (row["model"], row["cluster"], row["batch_size"], row["tp"])
        == ("llama-3.3-70b", "1x8:h100-sxm", "1", "8")
    )
    assert (float(same["tpot_s"]), same["fits"]) == (asked["tpot_s"], "true")
    assert names() == {"grid.csv"}


def test_json_and_parquet(run: Any) -> None:
    import polars

    found = run("sweep", "grid.toml", "-o", "grid.parquet", "--json")
    assert (found.code, found.err) == (0, "")
    told = json.loads(found.out)
    assert (told["questions"], told["resumed"], told["errors"], told["out"]) == (24, 0, 12, "grid.parquet")
    frame = polars.read_parquet("grid.parquet")
    assert frame.columns == told["columns"]
    assert frame["fits"].sum() == told["fitting"]
    assert frame.schema["tpot_s"] == polars.Float64


def test_standard_input(run: Any) -> None:
    assert run("sweep", "-", "--out", "grid.csv", stdin=SMALL).code == 0
    assert names() == {"grid.csv"}


def test_a_dry_run(run: Any) -> None:
    found = run("sweep", "grid.toml", "--dry-run")
    assert (found.code, found.err) == (0, "")
    assert "24 questions: 2 models x 2 clusters x 2 workloads x 3 plans" in found.out
    assert "1. llama-3.1-8b on rtx-4090, batch_size 1, tp 1" in found.out
    assert "... and 19 more" in found.out
    told = json.loads(run("sweep", "grid.toml", "--dry-run", "--json").out)
    assert told["questions"] == 24
    assert told["first"][1]["plan"] == {"tp": 3}
    assert names() == set()


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_two_workers_write_the_same_bytes(process: Any, ending: str) -> None:
    for workers in "12":
        found = process("sweep", "grid.toml", "-o", f"{workers}.{ending}", "--workers", workers)
        assert (found.code, found.err) == (0, "")
    assert Path(f"1.{ending}").read_bytes() == Path(f"2.{ending}").read_bytes()


def started(*more: str) -> subprocess.Popen[str]:
    """The large sweep, once some of its rows are in the file."""
    running = subprocess.Popen(
        [*COMMAND, *more], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    partial = Path("large.csv.partial")
    until = time.monotonic() + PATIENCE_S
    while not (partial.exists() and partial.stat().st_size > 10_000):
        assert running.poll() is None, running.communicate()
        assert time.monotonic() < until
        time.sleep(0.01)
    return running


def resumed(*more: str) -> dict[str, Any]:
    """What the same command says when it goes on."""
    done = subprocess.run(
        [*COMMAND, *more, "--json"], capture_output=True, text=True, timeout=PATIENCE_S, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def children(pid: int) -> list[int]:
    """Processes that a process has started."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.skipif(sys.platform == "win32", reason="no such signals")
@pytest.mark.parametrize("workers", ["1", "2"])
def test_an_interrupt_goes_on_where_it_stopped(large: bytes, workers: str) -> None:
    running = started("--workers", workers)
    # As a terminal does: to all processes of the command.
    os.killpg(running.pid, signal.SIGINT)
    out, err = running.communicate(timeout=PATIENCE_S)
    assert (running.returncode, out) == (130, "")
    assert len(err.splitlines()) == 1, err
    assert "of 1,500 questions are answered and kept in large.csv.partial: the same command goes on" in err
    assert names() == {"large.csv.partial"}
    told = resumed("--workers", "1")
    assert 0 < told["resumed"] < told["questions"] == LARGE_QUESTIONS
    assert Path("large.csv").read_bytes() == large
    assert names() == {"large.csv"}


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="no /proc")
def test_a_killed_sweep_goes_on_and_leaves_no_process(large: bytes) -> None:
    running = started("--workers", "2")
    workers = children(running.pid)
    assert len(workers) >= 2
    running.kill()
    running.communicate(timeout=PATIENCE_S)
    assert running.returncode == -signal.SIGKILL
    until = time.monotonic() + PATIENCE_S
    while any(map(is_running, workers)):
        assert time.monotonic() < until, "workers outlive their parent"
        time.sleep(0.01)
    told = resumed("--workers", "1")
    assert 0 < told["resumed"] < told["questions"]
    assert Path("large.csv").read_bytes() == large


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="no /proc")
def test_a_killed_worker_is_told(large: bytes) -> None:
    running = started("--workers", "2")
    # The last one: the first child of Python's processes keeps track of what they share.
    os.kill(children(running.pid)[-1], signal.SIGKILL)
    out, err = running.communicate(timeout=PATIENCE_S)
    assert (running.returncode, out) == (1, "")
    assert "a worker process died" in err
    assert "the same command goes on" in err
    assert resumed("--workers", "1")["resumed"] > 0
    assert Path("large.csv").read_bytes() == large


@pytest.mark.skipif(sys.platform == "win32", reason="no such limits")
def test_a_full_disk_is_told(large: bytes) -> None:
    command = f"ulimit -f 200; exec {shlex.join(COMMAND)} --workers 1"
    done = subprocess.run(
        ["bash", "-c", command], capture_output=True, text=True, timeout=PATIENCE_S, check=False
    )
    assert (done.returncode, done.stdout) == (1, ""), done.stderr
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert "cannot write large.csv.partial: File too large" in done.stderr
    assert "the same command goes on" in done.stderr
    assert names() == {"large.csv.partial"}
    assert resumed("--workers", "1")["resumed"] > 0
    assert Path("large.csv").read_bytes() == large


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "name the table: --out"),
        (("--out", "grid.txt"), "ends in .csv or .parquet"),
        (("--out", "gone/grid.csv"), "there is no folder gone"),
        (("--out", "."), "use a name that ends in"),
        (("--out", "grid.csv", "--workers", "0"), "give 1 to"),
        (("--out", "grid.csv", "--workers", "-1"), "give 1 to"),
        (("--out", "grid.csv", "--ray", "auto", "--workers", "2"), "not both"),
        (("--out", "grid.csv", "--ray", "127.0.0.1:1"), "no Ray cluster to be had at 127.0.0.1:1"),
        (("--out", "grid.csv", "--ray", "here"), "use auto, local or HOST:PORT"),
        (("--out", "grid.csv", "--ray", "here:٣"), "use auto, local or HOST:PORT"),
        (("--out", "grid.csv", "--bogus"), "--bogus"),
    ],
)
def test_bad_options(process: Any, run: Any, arguments: tuple[str, ...], said: str) -> None:
    # Ray warns of its own at import: what it does stays in a process of its own.
    found = (process if "--ray" in arguments else run)("sweep", "grid.toml", *arguments)
    assert (found.code, found.out) == (2, "")
    assert len(found.err.splitlines()) == 1, found.err
    assert found.err.startswith("farthing: error: ")
    assert said in found.err
    assert names() == set()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (SMALL.replace("batch_size", "batchsize"), "did you mean batch_size"),
        (SMALL.replace("[1, 8]", "[1, nan]"), "batch_size must be a whole number"),
        (SMALL.replace("[1, 8]", "[1, -8]"), "batch_size must be at least 1, not -8"),
        (SMALL.replace("[1, 8]", "[]"), "batch_size is empty"),
        (SMALL.replace("rtx-4090", "rtx-4091"), "did you mean rtx-4090"),
        (SMALL.replace("[workload]", "[workload"), "not valid TOML"),
        ("", "task is missing"),
    ],
)
def test_bad_files(run: Any, content: str, said: str) -> None:
    Path("grid.toml").write_text(content, "utf-8")
    for arguments in (("--out", "grid.csv"), ("--dry-run",)):
        found = run("sweep", "grid.toml", *arguments)
        assert (found.code, found.out) == (2, "")
        assert len(found.err.splitlines()) == 1
        assert said in found.err
        assert "grid.toml" in found.err
    assert names() == set()


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="no folder that nobody can write")
def test_a_folder_that_cannot_be_written(run: Any) -> None:
    found = run("sweep", "grid.toml", "--out", "/proc/grid.csv")
    assert (found.code, found.out) == (2, "")
    assert "cannot write /proc/grid.csv.partial: " in found.err
    assert "name another output" in found.err


def test_what_is_there_stays(run: Any) -> None:
    Path("grid.csv").write_text("old")
    found = run("sweep", "grid.toml", "--out", "grid.csv")
    assert (found.code, found.out) == (2, "")
    assert "--force" in found.err
    assert Path("grid.csv").read_text() == "old"
    assert run("sweep", "grid.toml", "--out", "grid.csv", "--force").code == 0
    assert Path("grid.csv").read_text().startswith("question,")


def test_without_the_extras(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "polars", None)
    monkeypatch.setitem(sys.modules, "ray", None)
    found = run("sweep", "grid.toml", "--out", "grid.parquet")
    assert (found.code, found.out) == (2, "")
    assert "pip install 'farthing[frames]'" in found.err
    found = run("sweep", "grid.toml", "--out", "grid.csv", "--ray", "auto")
    assert (found.code, found.out) == (2, "")
    assert "pip install 'farthing[ray]'" in found.err
    assert names() == set()
    assert run("sweep", "grid.toml", "--out", "grid.csv").code == 0
