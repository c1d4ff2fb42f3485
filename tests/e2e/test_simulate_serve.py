"""``farthing simulate serve`` as a user meets it."""

from __future__ import annotations

import csv
import gzip
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.test_bad_input import check

SERVE = ("simulate", "serve", "llama-3.1-8b", "--on", "1x1:h100-sxm")
LISTENING = """
import signal, sys
from farthing.cli.main import main
if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.exit(main())
"""
"""The program, also where who runs the tests has told their processes to ignore interrupts."""
PATIENCE_S = 100
COLUMNS = "arrival=at,prompt=in,output=out"


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("chats.csv").write_text(
        "at,in,out\n"
        + "".join(f"{0.4 * number:g},{200 + number},{20 + number % 7}\n" for number in range(50))
    )
    Path("azure.jsonl").write_text(
        '{"timestamp": 0, "input_length": 1200, "output_length": 40, "hash_ids": [1, 2]}\n'
        '{"timestamp": 900, "input_length": 1300, "output_length": 30, "hash_ids": [1, 2]}\n'
    )
    Path("empty.csv").touch()
    Path("names.csv").write_text("at,in,out\n")
    Path("half.csv").write_text("at,in,out\n0,100,20\n1,10")
    Path("times.csv").write_text("at,in,out\n0,100,20\nsoon,10,1\n")
    Path("negative.csv").write_text("at,in,out\n0,100,-20\n")
    Path("there.csv").write_text("precious")
    Path("folder.csv").mkdir()


LOADS: dict[str, tuple[str, ...]] = {
    "poisson": ("--rate", "6"),
    "gamma": ("--rate", "6", "--burstiness", "4"),
    "diurnal": ("--rate", "6", "--swing", "0.9", "--day", "30s"),
    "closed": ("--users", "5", "--think", "500ms"),
    "trace": ("--trace", "chats.csv", "--trace-columns", COLUMNS),
    "trace, faster": ("--trace", "chats.csv", "--trace-columns", COLUMNS, "--rate", "20"),
    "two kinds of workers": (
        "--cluster", "1x4:h100-sxm", "--prefill", "dp=2", "--decode", "tp=2", "--rate", "9",
    ),
    "many wishes": (
        "--rate", "20", "--prompt", "lognormal:900:1:8k", "--output", "uniform:80:0.5", "--priorities", "1,3",
        "--prefix-groups", "5", "--cancel-share", "0.1", "--queue-limit", "30", "--timeout", "30s",
        "--queue-timeout", "10s", "--ttft", "1s", "--tpot", "40ms", "--share", "0.9", "--warm-up", "5",
        "--scheduler", "sglang-large", "--token-budget", "2k", "--usd-per-accelerator-hour", "2",
    ),
}  # fmt: skip


@pytest.mark.parametrize("load", LOADS)
def test_every_load(run: Any, load: str) -> None:
    found = run(*SERVE, *LOADS[load], "--requests", "50", "--json")
    assert (found.code, found.err) == (0, "")
    told = json.loads(found.out)
    assert told["offered"] == sum(told["ended"].values()) == 50
    assert told["traffic"]["arrivals"] == (load if load in ("gamma", "diurnal", "closed") else
                                           "trace" if load.startswith("trace") else "poisson")  # fmt: skip
    assert told["in_system"] == pytest.approx(told["in_system_by_little"])
    assert told["ttft_s"]["count"] > 40
    text = run(*SERVE, *LOADS[load], "--requests", "50")
    assert (text.code, text.err) == (0, "")
    assert max(map(len, text.out.splitlines())) <= 80
    assert not re.search(r"\bnan\b", text.out)


def test_as_a_process(process: Any) -> None:
    found = process(*SERVE, "--rate", "6", "--requests", "100", "--ttft", "1s", "--chart")
    assert (found.code, found.err) == (0, "")
    assert found.out.startswith("Keeps the objectives at 6.00 requests/s on 1 replica: 100% of the")
    for title in ("Requests in work and waiting", "Time to the first token", "Requests coming"):
        assert title in found.out


def test_the_same_seed_is_the_same_run(run: Any) -> None:
    def told(*more: str) -> str:
        return str(run(*SERVE, "--rate", "9", "--requests", "60", "--json", *more).out)

    assert told() == told("--seed", "0") != told("--seed", "1")


def test_searches(run: Any) -> None:
    found = run(
        *SERVE, "--find-rate", "--tpot", "20ms", "--requests", "300", "--json", "--requests-out", "r.csv"
    )
    assert (found.code, found.err) == (0, "")
    told = json.loads(found.out)
    assert told["good_share"] >= 0.99
    assert 10 < told["traffic"]["requests_per_s"] < 30
    with open("r.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 300
    good = [row for row in rows if float(row["tpot_s"]) <= 0.02]
    assert len(good) / 300 == pytest.approx(told["good_share"])
    sized = run(*SERVE, "--size", "--rate", "50", "--tpot", "20ms", "--requests", "300")
    assert sized.code == 0
    assert sized.out.startswith("Needs ")
    assert "Search for the fewest replicas" in sized.out


def test_files_beside_a_run(run: Any) -> None:
    found = run(
        *SERVE, "--rate", "20", "--requests", "300", "--requests-out", "rows.csv.gz",
        "--perfetto", "run.json.gz", "--perfetto-from", "2s", "--perfetto-for", "3s",
        "--plot", "run.svg", "--plot", "run.json",
    )  # fmt: skip
    assert (found.code, found.err) == (0, "")
    assert "wrote rows.csv.gz: 300 rows\n" in found.out
    assert "wrote run.json.gz: " in found.out
    assert ", 2.00 s to 5.00 s of " in found.out
    assert "  open it at https://ui.perfetto.dev\n" in found.out
    assert found.out.endswith("wrote run.svg\nwrote run.json\n")
    assert len(gzip.decompress(Path("rows.csv.gz").read_bytes()).splitlines()) == 301
    events = json.loads(gzip.decompress(Path("run.json.gz").read_bytes()))
    slices = [event for event in events if event["ph"] == "X"]
    assert f": {len(slices):,} passes and " in found.out
    assert all(event["ts"] < 5e6 and event["ts"] + event["dur"] >= 2e6 for event in slices)
    again = run(
        *SERVE, "--rate", "20", "--requests", "30", "--requests-out", "rows.csv.gz", "--force", "--json"
    )
    assert again.code == 0
    json.loads(again.out)
    assert len(gzip.decompress(Path("rows.csv.gz").read_bytes()).splitlines()) == 31


def test_mooncake_lines_share_beginnings(run: Any) -> None:
    found = run(*SERVE, "--trace", "azure.jsonl", "--json")
    assert json.loads(found.out)["prefix_hit_share"] > 0.3
    off = run(*SERVE, "--trace", "azure.jsonl", "--no-prefix-caching", "--json")
    assert json.loads(off.out)["prefix_hit_share"] == 0


def test_no_request_is_an_answer(run: Any) -> None:
    found = run(*SERVE, "--rate", "1", "--duration", "1us", "--plot", "a.json", "--perfetto", "t.json")
    assert (found.code, found.err) == (0, "")
    assert found.out.startswith("No request came to 1 replica.\n")
    assert json.loads(Path("t.json").read_text()) == []


RATE = (*SERVE, "--rate", "5")
FIND = (*SERVE, "--find-rate")
TRACE = (*SERVE, "--trace")
BAD: list[tuple[tuple[str, ...], str]] = [
    (SERVE, "give --rate 5 (a second), --users 64, --trace FILE, or --find-rate"),
    (("simulate", "serve", "llama-3.1-9b", "--on", "h100-sxm", "--rate", "1"), "did you mean llama-3.1-8b"),
    (("simulate", "serve", "llama-3.1-8b", "--on", "h100", "--rate", "1"), "did you mean h100"),
    (("simulate", "serve", "llama-3.1-8b", "--rate", "1"), "--on"),
    (("simulate", "sreve"), "did you mean serve"),
    ((*RATE, "--engine", "vlmm"), "did you mean vllm"),
    ((*RATE, "--scheduler", "sglan"), "did you mean sglang"),
    ((*RATE, "--routing", "round"), "did you mean round-robin"),
    ((*RATE, "--preemption", "drop"), "recompute, swap"),
    ((*RATE, "--arrivals", "bursts"), "poisson, gamma, diurnal, closed, trace"),
    ((*RATE, "--weights", "fp9"), "did you mean fp"),
    ((*RATE, "--bogus", "1"), "--bogus"),
    ((*RATE, "--prompt", "lognorm:3:1"), "write it like 1000, lognormal:1000:0.8"),
    ((*RATE, "--prompt", "uniform:100:3"), "spread must be a number in 0..1"),
    ((*RATE, "--priorities", "1,x"), "'x' is not a number"),
    ((*RATE, "--priorities", "0,0"), "one of them must be above 0"),
    ((*RATE, "--ttft", "5"), "has no unit"),
    ((*RATE, "--burstiness", "2", "--arrivals", "poisson"), "use it with --arrivals gamma"),
    ((*RATE, "--burstiness", "2", "--day", "1h"), "--day means nothing to gamma arrivals"),
    ((*RATE, "--think", "1s"), "--think means nothing to poisson arrivals"),
    ((*RATE, "--users", "5"), "give --users or --rate"),
    ((*RATE, "--arrivals", "closed"), "--rate means nothing to closed arrivals"),
    ((*SERVE, "--arrivals", "closed"), "needs --users"),
    ((*SERVE, "--arrivals", "trace"), "needs --trace"),
    ((*RATE, "--share", "0.9"), "give --ttft, --tpot or --e2e"),
    ((*RATE, "--prefix-share", "0.9"), "needs --prefix-groups"),
    ((*RATE, "--size"), "--size needs objectives: give --ttft"),
    ((*RATE, "--size", "--find-rate", "--ttft", "1s"), "give --find-rate or --size, not both"),
    (FIND, "--find-rate needs objectives: give --ttft"),
    ((*FIND, "--users", "5", "--ttft", "1s"), "leave --users out"),
    ((*SERVE, "--size", "--users", "5", "--ttft", "1s"), "leave --users out"),
    ((*SERVE, "--size", "--ttft", "1s"), "say how requests come: give --rate"),
    ((*RATE, "--prefill", "tp=1"), "--prefill needs --decode"),
    ((*RATE, "--prefill", "tp=1", "--decode", "tp=1"), "prefill_pool and decode_pool together are more"),
    ((*RATE, "--prefill", "tp=1", "--decode", "tp=1", "--size", "--ttft", "1s"), "use --find-rate"),
    ((*RATE, "--decode-pool", "1x1"), "give the splits of both"),
    ((*RATE, "--tp", "3"), "use one of 1, 2, 4"),
    ((*RATE, "--tp", "8"), "1x1:h100-sxm has 1"),
    ((*TRACE, "nofile.csv"), "cannot read nofile.csv"),
    ((*TRACE, "folder.csv"), "is a folder"),
    ((*TRACE, "empty.csv"), "empty.csv is empty"),
    ((*TRACE, "chats.csv"), "say which tell what"),
    ((*TRACE, "names.csv", "--trace-columns", COLUMNS), "it has no request"),
    ((*TRACE, "half.csv", "--trace-columns", COLUMNS), "cut short"),
    ((*TRACE, "times.csv", "--trace-columns", COLUMNS), "'soon' is no time"),
    ((*TRACE, "negative.csv", "--trace-columns", COLUMNS), "'-20' is not in 0.."),
    (
        (*TRACE, "chats.csv", "--trace-columns", "arrival=at,prompt=inn,output=out"),
        "unknown column in chats.csv",
    ),
    ((*TRACE, "chats.csv", "--trace-columns", "arrival=at,prompt=in"), "say which column tells output"),
    ((*TRACE, "chats.csv", "--trace-columns", "when=at,prompt=in,output=out"), "unknown field of a trace"),
    ((*TRACE, "chats.csv", "--trace-columns", "arrival"), "write e.g. --trace-columns"),
    ((*TRACE, "chats.csv", "--trace-columns", "arrival=at,arrival=in"), "twice"),
    ((*TRACE, "chats.csv", "--prompt", "5"), "--prompt means nothing to trace arrivals"),
    ((*RATE, "--trace-columns", COLUMNS), "name it with --trace"),
    ((*RATE, "--requests-out", "rows.txt"), "ends in .csv or .csv.gz"),
    ((*RATE, "--requests-out", "there.csv"), "there.csv is there already; name another file, or use --force"),
    ((*RATE, "--requests-out", "folder.csv"), "is a folder"),
    ((*RATE, "--requests-out", "no/rows.csv"), "there is no folder no"),
    ((*RATE, "--force"), "name it"),
    ((*RATE, "--perfetto", "run.csv"), "ends in .json or .json.gz"),
    ((*RATE, "--perfetto-for", "1s"), "name its file with --perfetto"),
    ((*RATE, "--plot", "run.gif"), "cannot draw"),
    ((*RATE, "--chart", "--json"), "not both"),
]


@pytest.mark.parametrize(("arguments", "said"), BAD, ids=lambda value: " ".join(value)[-50:])
def test_bad_input(run: Any, arguments: tuple[str, ...], said: str) -> None:
    before = {path.name for path in Path().iterdir()}
    check(run(*arguments), said)
    assert {path.name for path in Path().iterdir()} == before
    assert Path("there.csv").read_text() == "precious"


NUMBERS = (
    "--rate", "--requests", "--duration", "--burstiness", "--swing", "--day", "--users", "--think",
    "--prompt", "--output", "--prefix-groups", "--prefix-share", "--cancel-share", "--token-budget",
    "--max-sequences", "--block-tokens", "--reserved-share", "--poll-steps", "--batch-wait",
    "--queue-limit", "--queue-timeout", "--timeout", "--ttft", "--tpot", "--e2e", "--share", "--seed",
    "--warm-up", "--tp", "--pp", "--dp", "--ep", "--micro-batches", "--perfetto-from", "--perfetto-for",
    "--usd-per-kwh", "--years", "--pue",
)  # fmt: skip


@pytest.mark.parametrize("option", NUMBERS)
@pytest.mark.parametrize("value", ["-1", "nan", "inf", "1e300", "abc", "", "1 2", "٣x"])
def test_numbers_that_make_no_sense(run: Any, option: str, value: str) -> None:
    check(run(*RATE, option, value), "")


@pytest.mark.parametrize(
    "option",
    [
        "--rate",
        "--requests",
        "--users",
        "--prompt",
        "--output",
        "--token-budget",
        "--max-sequences",
        "--tp",
        "--years",
    ],
)
def test_zero_makes_no_sense(run: Any, option: str) -> None:
    check(run(*RATE, option, "0"), "")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            (*FIND, "--ttft", "1ms", "--requests", "20"),
            "no load keeps the objectives for 99% of the requests",
        ),
        ((*RATE, "--size", "--tpot", "1ms", "--requests", "20"), "no load keeps the objectives"),
        ((*FIND, "--ttft", "1s", "--duration", "1us"), "no request came"),
        ((*RATE, "--prompt", "2M"), "each card needs"),
        (("simulate", "serve", "llama-3.3-70b", "--on", "1x1:rtx-4090", "--rate", "1"), "each card needs"),
    ],
)
def test_what_cannot_be(run: Any, arguments: tuple[str, ...], said: str) -> None:
    check(run(*arguments, "--requests-out", "rows.csv", "--perfetto", "run.json"), said, code=3)
    assert not Path("rows.csv").exists()
    assert not Path("run.json").exists()


@pytest.mark.skipif(os.name == "nt", reason="interrupts are signals here")
def test_an_interrupt_keeps_what_is_written() -> None:
    command = [
        sys.executable, "-c", LISTENING, *SERVE, "--rate", "15", "--requests", "100M",
        "--requests-out", "rows.csv", "--perfetto", "run.json",
    ]  # fmt: skip
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        until = time.monotonic() + PATIENCE_S
        while not (Path("rows.csv").exists() and Path("rows.csv").stat().st_size > 50_000):
            assert running.poll() is None, running.stderr.read() if running.stderr else ""
            assert time.monotonic() < until
            time.sleep(0.02)
        running.send_signal(signal.SIGINT)
        out, err = running.communicate(timeout=PATIENCE_S)
    assert (running.returncode, out) == (130, "")
    text = Path("rows.csv").read_text("utf-8")
    assert text.endswith("\n")
    rows = list(csv.reader(text.splitlines()))
    assert {len(row) for row in rows} == {len(rows[0])}
    events = json.loads(Path("run.json").read_text("utf-8"))
    assert events
    played = f"{len(rows) - 1:,}"
    assert err.startswith(
        f"farthing: error: interrupted after {played} requests; rows.csv has {played} rows; "
    )
    assert "run.json has " in err
    assert len(err.splitlines()) == 1


def test_help_has_sections_and_is_quick_to_load(run: Any) -> None:
    found = run("simulate", "serve", "--help")
    assert found.code == 0
    for section in (
        "Traffic (",
        "Scheduler (",
        "Front:",
        "Objectives:",
        "Search:",
        "Disaggregated plan (",
        "Output:",
    ):
        assert f"\n{section}" in found.out
    code = (
        "import sys\nfrom farthing.cli.main import main\n"
        "main(['simulate', 'serve', '--help'])\n"
        "heavy = {'numpy', 'rich', 'msgspec', 'farthing.api', 'vl_convert'} & set(sys.modules)\n"
        "sys.exit(f'loaded {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
