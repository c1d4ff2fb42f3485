"""``farthing simulate faults``: text, JSON, table, charts, interrupts, and what it says to bad questions."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from farthing.cli.main import cli
from farthing.errors import FarthingError

FAULTS = ("simulate", "faults")
SMALL = (*FAULTS, "article-2048", "--days", "1", "--runs", "20")
OWN = (*FAULTS, "--model", "llama-3.1-8b", "--on", "4x8:h100-sxm@ib-ndr", "--runs", "40")
LISTENING = """
import signal, sys
from farthing.cli.main import main
if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.exit(main())
"""
"""The program, also where who runs the tests has told their processes to ignore interrupts."""

PATIENCE_S = 100


def run(*arguments: str, columns: int = 100) -> Result:
    return CliRunner(env={"COLUMNS": str(columns)}).invoke(cli, list(arguments))


def refused(*arguments: str) -> str:
    """The message of a question that is refused."""
    result = run(*arguments)
    assert result.exit_code != 0
    if isinstance(result.exception, FarthingError):
        assert result.exception.exit_code == 2
        return str(result.exception)
    assert result.exit_code == 2
    return result.output


def test_the_report_tells_what_failures_cost():
    result = run(*SMALL)
    assert result.exit_code == 0, result.output
    for heading in (
        "Simulated  20 runs of 24.0 h, seed 0",
        "Where the time goes",
        "By cause",
        "How often to checkpoint",
        "Spare hosts",
        "If it were otherwise",
        "Assumed",
    ):
        assert heading in result.output
    assert "half of the time is lost" in result.output
    assert max(map(len, result.output.splitlines())) <= 100
    for word in ("nan", "inf ", "None", "1 hosts", "1 cards"):
        assert word not in result.output


def test_the_report_fits_a_narrow_terminal():
    assert max(map(len, run(*SMALL, columns=80).output.splitlines())) <= 80


def test_no_preset_takes_counts_from_the_cluster():
    text = " ".join(run(*OWN).output.split())
    assert "4 hosts, 32 cards" in text
    assert "a failure of each card in 9.0 years" in text
    assert "112 GB" in text
    assert "published" not in text


def test_json_stands_alone_and_sums_to_one():
    found = json.loads(run(*SMALL, "--json").output)
    assert sum(one["share"] for one in found["kinds"]) + found["goodput"]["mean"] == pytest.approx(1)
    assert found["run"]["cards"] == 2048
    assert found["interval"]["daly_s"] > 0


def test_options_change_a_preset():
    found = json.loads(run(*SMALL, "--restart", "1min", "--spares", "90", "--json").output)
    assert found["run"]["recovery"]["restart_s"] == 60
    assert found["run"]["recovery"]["spare_hosts"] == 90


def test_zero_times_can_be_asked_for():
    found = json.loads(run(*SMALL, "--restart", "0", "--detection", "0s", "--json").output)
    assert found["run"]["recovery"]["restart_s"] == 0
    assert found["goodput"]["mean"] > 0.9


def test_seed_and_runs_repeat():
    one, again, other = (run(*SMALL, "--seed", seed, "--json").output for seed in ("1", "1", "2"))
    assert one == again
    assert one != other


def test_the_table_has_a_row_for_each_run(tmp_path: Path):
    out = tmp_path / "runs.csv"
    result = run(*SMALL, "--out", str(out), "--seed", "3")
    assert f"wrote {out}" in result.output
    rows = list(csv.DictReader(out.read_text("utf-8").splitlines()))
    assert [int(row["run"]) for row in rows] == list(range(20))
    for row in rows:
        lost = sum(float(value) for name, value in row.items() if name.endswith("_s"))
        assert float(row["goodput"]) * 86400 + lost == pytest.approx(86400)
    assert "there already" in refused(*SMALL, "--out", str(out))
    assert run(*SMALL, "--out", str(out), "--force").exit_code == 0


def test_charts_go_to_files_and_the_terminal(tmp_path: Path):
    svg = tmp_path / "out.svg"
    result = run(*SMALL, "--chart", "--plot", str(svg))
    for title in (
        "Goodput of the simulated runs",
        "Goodput over the checkpoint interval",
        "Time lost, by cause",
        "Goodput over spare hosts",
    ):
        assert title in result.output
    assert svg.read_text("utf-8").startswith("<svg")


def test_an_interrupt_keeps_the_runs_that_are_written(tmp_path: Path):
    out = tmp_path / "runs.csv"
    command = (sys.executable, "-c", LISTENING, *FAULTS, "article-2048", "--days", "5")
    process = subprocess.Popen(
        [*command, "--runs", "900k", "--out", str(out)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "COLUMNS": "100"},
    )
    try:
        end = time.monotonic() + PATIENCE_S
        while not out.exists() or out.read_text("utf-8").count("\n") < 513:
            assert time.monotonic() < end
            assert process.poll() is None, process.communicate()
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=PATIENCE_S)
    finally:
        process.kill()
    assert process.returncode == 130
    rows = list(csv.DictReader(out.read_text("utf-8").splitlines()))
    assert f"interrupted: {len(rows):,} runs are in {out}" in told
    assert all(None not in row.values() for row in rows)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((*FAULTS,), "say what is simulated"),
        ((*FAULTS, "llama-3-450b"), "did you mean llama-3-405b"),
        ((*FAULTS, "--on", "4x8:h100-sxm@ib-ndr"), "say which model"),
        ((*FAULTS, "--model", "llama-3.1-8b", "--on", "4x8:h1000@ib-ndr"), "unknown accelerator"),
        ((*FAULTS, "--model", "lama-3.1-8b", "--on", "8:h100-sxm"), "unknown model"),
        ((*SMALL, "--days", "0"), "more than 0"),
        ((*SMALL, "--days", "nan"), "not a number"),
        ((*SMALL, "--days", "-1"), "out of range"),
        ((*SMALL, "--days", "1e9"), "out of range"),
        ((*SMALL, "--days", "20000"), "at most 20,000 can be simulated"),
        ((*SMALL, "--runs", "0"), "out of range"),
        ((*SMALL, "--runs", "2M"), "out of range"),
        ((*SMALL, "--seed", "x"), "not a whole number"),
        ((*SMALL, "--card-mtbf", "30"), "has no unit"),
        ((*SMALL, "--card-mtbf", "0s"), "more than 0"),
        ((*SMALL, "--card-mtbf", "inf"), "not a duration"),
        ((*SMALL, "--lifetime", "webull"), "did you mean weibull"),
        ((*SMALL, "--lifetime", "weibull"), "needs a shape"),
        (
            (*SMALL, "--elastic-replicas", "4"),
            "--elastic-replicas matters where spares are few",
        ),
        ((*SMALL, "--snapshot", "1s"), "give --checkpoint-mode async"),
        ((*SMALL, "--write", "2TB"), None),
        ((*SMALL, "--write", "-2TB/s"), "not a rate"),
        ((*SMALL, "--write", "2"), "not a rate"),
        ((*SMALL, "--checkpoint-size", "2TB/s"), "not a size"),
        ((*SMALL, "--checkpoint-size", "0TB"), "more than 0"),
        ((*SMALL, "--spares", "-1"), "out of range"),
        ((*SMALL, "--json", "--chart"), "not both"),
        ((*SMALL, "--out", "runs.txt"), "CSV"),
        ((*SMALL, "--out", "no/such/folder/runs.csv"), "no folder"),
        ((*SMALL, "--force"), "--force is of --out"),
        ((*SMALL, "--plot", "chart.gif"), ".svg"),
        ((*SMALL, "--restarts", "1s"), "--restart"),
    ],
)
def test_bad_questions_are_refused(arguments, words):
    if words is None:
        assert run(*arguments).exit_code == 0
    else:
        assert words in " ".join(refused(*arguments).split())


def test_errors_take_one_line(tmp_path: Path):
    done = subprocess.run(
        [sys.executable, "-m", "farthing.cli.main", *SMALL, "--elastic-replicas", "4"],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("farthing: error: --elastic-replicas")
