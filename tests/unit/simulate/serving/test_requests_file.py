"""The table of requests: a true row for each, complete lines whatever happens."""

from __future__ import annotations

import csv
import gzip
import itertools
import math
import os
import signal
from pathlib import Path
from typing import Any

import pytest

import farthing
from farthing.errors import InvalidInput
from farthing.records.serving import Lengths, ServingResult
from farthing.simulate.serving.line_file import LineFile, interrupts_put_off
from farthing.simulate.serving.requests_file import COLUMNS, RequestsFile


def rows_of(path: Path) -> list[dict[str, str]]:
    data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    text = data.decode()
    assert text.endswith("\n")
    found = list(csv.DictReader(text.splitlines()))
    assert all(None not in row and None not in row.values() for row in found)
    return found


def play(file: RequestsFile, **question: Any) -> ServingResult:
    asked = {"requests": 400, "requests_per_s": 20.0} | question
    return farthing.simulate_serving("llama-3.1-8b", "1x1:h100-sxm", watchers=[file], **asked)


def mean(rows: list[dict[str, str]], column: str) -> float:
    values = [float(row[column]) for row in rows if row[column]]
    return math.fsum(values) / len(values)


def test_rows_say_what_the_measures_say(tmp_path: Path) -> None:
    file = RequestsFile(tmp_path / "rows.csv")
    result = play(
        file,
        prompt=Lengths(kind="lognormal", tokens=1500, spread=1.0),
        output=Lengths(kind="lognormal", tokens=300, spread=1.0),
        cancel_share=0.1,
        queue_limit=20,
        max_sequences=24,
        priorities=(0.3, 0.7),
        timeout_s=12.0,
    )
    file.close()
    rows = rows_of(file.path)
    assert tuple(rows[0]) == COLUMNS
    assert file.rows == len(rows) == result.offered == 400
    assert sorted(int(row["request"]) for row in rows) == list(range(400))
    ended = [float(row["ended_s"]) for row in rows]
    # In the order in which the service ends them; users see that some milliseconds later.
    assert all(later > earlier - 0.1 for earlier, later in itertools.pairwise(ended))
    counts = {state: sum(row["state"] == state for row in rows) for state in result.ended}
    assert counts == result.ended
    assert len(result.ended) == 4
    for column, spread in (
        ("queue_s", result.queue_s),
        ("ttft_s", result.ttft_s),
        ("e2e_s", result.e2e_s),
    ):
        assert mean(rows, column) == pytest.approx(spread.mean, abs=1e-8)
        assert sum(bool(row[column]) for row in rows) == spread.count
    answered = [row for row in rows if row["state"] == "finished"]
    assert mean(answered, "tpot_s") == pytest.approx(result.tpot_s.mean, abs=1e-8)
    assert sum(int(row["written_tokens"]) for row in rows) == pytest.approx(
        result.tokens_per_s * result.span_s
    )
    for row in rows:
        assert (row["written_tokens"] == row["output_tokens"]) == (row["state"] == "finished")
        assert bool(row["replica"]) == (row["state"] != "rejected")
        assert row["priority"] in "01"
        if row["e2e_s"]:
            gap = float(row["ended_s"]) - float(row["arrival_s"])
            assert float(row["e2e_s"]) == pytest.approx(gap, abs=2e-9)


def test_steps_back_are_counted(tmp_path: Path) -> None:
    file = RequestsFile(tmp_path / "rows.csv.gz")
    # A cache that holds a few of them.
    result = farthing.simulate_serving(
        "llama-3.1-8b", "1x1:rtx-4090", requests=150, requests_per_s=20.0, output_tokens=1000, watchers=[file]
    )
    file.close()
    rows = rows_of(file.path)
    assert result.preemptions > 10
    assert sum(int(row["preempted"]) for row in rows) == result.preemptions


def test_a_search_writes_the_run_that_it_found(tmp_path: Path) -> None:
    for seek, rate in (("rate", 1.0), ("replicas", 60.0)):
        found, again = RequestsFile(tmp_path / f"{seek}.csv"), RequestsFile(tmp_path / f"{seek}-again.csv")
        asked: dict[str, Any] = {"tpot_s": 0.02, "requests": 150}
        result = play(found, seek=seek, requests_per_s=rate, **asked)
        found.close()
        dp = {"rate": 1, "replicas": result.replicas}[seek]
        farthing.simulate_serving(
            "llama-3.1-8b",
            f"1x{dp}:h100-sxm",
            tp=1,
            traffic=result.traffic,
            watchers=[again],
        )
        again.close()
        assert len(result.tries) > 1
        assert found.path.read_bytes() == again.path.read_bytes()


def test_nothing_is_made_before_there_is_something_to_say(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("precious")
    file = RequestsFile(path)
    with pytest.raises(InvalidInput):
        play(file, tp=3)
    assert path.read_text() == "precious"
    file.close()
    assert path.read_text() == ",".join(COLUMNS) + "\n"


def test_lines_are_whole_after_an_interrupt(tmp_path: Path) -> None:
    class Impatient(RequestsFile):
        def ended(self, *given: Any) -> None:
            super().ended(*given)
            if self.rows == 777:
                raise KeyboardInterrupt

    file = Impatient(tmp_path / "rows.csv")
    with pytest.raises(KeyboardInterrupt):
        play(file, requests=1000)
    file.close()
    file.close()
    assert len(rows_of(file.path)) == file.rows == 777


@pytest.fixture
def listening() -> Any:
    """Interrupts are heard, also where who runs the tests has told their processes to ignore them."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_interrupts_wait_until_what_is_begun_is_done(listening: None) -> None:
    done = []

    def work() -> None:
        with interrupts_put_off():
            os.kill(os.getpid(), signal.SIGINT)
            with interrupts_put_off():
                os.kill(os.getpid(), signal.SIGINT)
                done.append("inner")
            done.append("outer")

    with pytest.raises(KeyboardInterrupt):
        work()
    assert done == ["inner", "outer"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_an_error_inside_is_not_lost(listening: None) -> None:
    with pytest.raises(ZeroDivisionError), interrupts_put_off():
        raise ZeroDivisionError
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_ignored_interrupts_stay_ignored() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with interrupts_put_off():
            os.kill(os.getpid(), signal.SIGINT)
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def test_an_interrupt_while_lines_are_written(tmp_path: Path, listening: None) -> None:
    file = LineFile(tmp_path / "lines.txt")
    lines = [f"line {number}\n" for number in range(5000)]
    written = 0

    def write() -> None:
        nonlocal written
        for number, line in enumerate(lines):
            if number == 3210:
                os.kill(os.getpid(), signal.SIGINT)
            file.add(line)
            written += 1

    with pytest.raises(KeyboardInterrupt):
        write()
    file.close()
    kept = file.path.read_text()
    assert 3200 < written < 3220
    assert kept in ("".join(lines[:written]), "".join(lines[: written + 1]))
