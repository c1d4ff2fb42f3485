"""The commands do their jobs: text and JSON, pipes, files, colours, speed."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import farthing
from farthing.cli.reference import commands, examples

INFER = (
    *("infer", "llama-2-70b", "--on", "1x8:rtx-4090", "--tp", "8"),
    *("--batch", "1", "--context", "4096"),
)
TRAIN = (
    *("train", "llama-2-70b", "--on", "256x8:a100-sxm-80gb@ib-hdr", "--tokens", "2T", "--tp", "8"),
    *("--pp", "8", "--global-batch", "1024", "--seq", "4096"),
)
EVERY = [
    INFER,
    TRAIN,
    ("gpu", "list"),
    ("gpu", "show", "rtx-4090"),
    ("gpu", "compare", "rtx-4090", "h100-sxm", "--model", "llama-3.1-8b", "--lora-rank", "16"),
    ("model", "list"),
    ("model", "show", "deepseek-v3"),
    ("model", "import", "llama-2-7b"),
    ("cluster", "show", "1x2:rtx-4090+1x1:m2-ultra@10gbe"),
    ("chip",),
    ("chip", "h100-sxm", "mi250x"),
    ("chip", "rtx-4090", "--explain"),
    ("prices", "list"),
    ("article",),
    ("completion", "bash"),
]
MEASURED = """\
id,source,engine,model,quant,gpu,n_gpus,batch,prompt_len,gen_len,metric,value,model_id,accelerator_id
1,us,llama.cpp,Llama-3-8B,Q4_K_M,RTX 4090,1,1,0,128,decode_tok_s,120,llama-3-8b,rtx-4090
2,us,llama.cpp,Llama-3-8B,F16,RTX 4090,1,1,0,128,decode_tok_s,50,llama-3-8b,rtx-4090
3,us,llama.cpp,Llama-3-8B,Q8_0,RTX 4090,1,1,0,128,decode_tok_s,80,llama-3-8b,rtx-4090
4,us,llama.cpp,Llama-3-8B,Q8_0,RTX 9999,1,1,0,128,decode_tok_s,80,llama-3-8b,
"""
GRID = """\
task = "inference"
models = ["llama-3.1-8b"]
clusters = ["rtx-4090", "h100-sxm"]
[workload]
batch_size = [1, 8]
"""
PRICES = "item,kind,usd,per,date\nrtx-4090,used,1500,unit,2026-11-02\n"
LISTED = [(name, line) for name, command, _ in commands() for line in examples(command)]


@pytest.mark.parametrize("arguments", EVERY, ids=lambda value: " ".join(value[:2]))
def test_json_alone(run: Any, arguments: tuple[str, ...]) -> None:
    found = run(*arguments, "--json")
    assert (found.code, found.err) == (0, "")
    assert json.loads(found.out)
    assert "\x1b" not in found.out


@pytest.mark.parametrize("arguments", [line for line in EVERY if line[0] not in ("article", "completion")])
@pytest.mark.parametrize("columns", ["80", "120", "200"])
def test_text_keeps_to_the_width(
    run: Any, arguments: tuple[str, ...], columns: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    found = run(*arguments)
    assert (found.code, found.err) == (0, "")
    assert "\x1b" not in found.out
    if arguments[:2] != ("model", "import"):
        assert max(map(len, found.out.splitlines())) <= min(int(columns), 120)
    assert "…" not in found.out or arguments[1] == "list"


@pytest.mark.parametrize(("command", "line"), LISTED, ids=[" ".join(line)[:60] for _, line in LISTED])
def test_every_example_of_the_help_runs(
    run: Any, command: str, line: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, publish: Any
) -> None:
    publish("runpod", {"instance_name": "NVIDIA H100 PCIe", "gpu_name": "H100", "price": 2.0})
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FARTHING_CONFIG", str(tmp_path))
    for name in ("runs.csv", "a.csv", "b.csv"):
        Path(name).write_text(MEASURED, "utf-8")
    Path("grid.toml").write_text(GRID, "utf-8")
    trace = Path(__file__).parents[1] / "data" / "traces" / "azure_llm_2023_conv.csv"
    Path("requests.csv").write_text(trace.read_text("utf-8"), "utf-8")
    Path("my-prices.csv").write_text(PRICES, "utf-8")
    if line == ["validate"]:
        pytest.skip("all shipped measurements are compared once, in tests/validation")
    if line[0] == "web":
        # It would serve until an interrupt, on a port that may be taken: tests/e2e/test_web.py has both.
        monkeypatch.setattr("farthing.web.serve.serve", lambda settings, listener: None)
        monkeypatch.setattr("farthing.web.serve.listening", lambda settings: socket.create_server(("", 0)))
        monkeypatch.setattr("click.launch", lambda address: 0)
    found = run(*line)
    assert (found.code, found.err) == (0, ""), (command, line)
    assert found.out


def test_every_command_has_an_example() -> None:
    import click

    for name, command, _ in commands():
        if not isinstance(command, click.Group):
            assert examples(command), name


def test_the_main_jobs_say_what_the_library_says(run: Any) -> None:
    served = json.loads(run(*INFER, "--json").out)
    assert served["tokens_per_s"] == pytest.approx(
        farthing.infer("llama-2-70b", "1x8:rtx-4090", tp=8, batch_size=1, context_tokens=4096).tokens_per_s
    )
    trained = json.loads(run(*TRAIN, "--json").out)
    library = farthing.train(
        "llama-2-70b",
        "256x8:a100-sxm-80gb@ib-hdr",
        training_tokens=2e12,
        tp=8,
        pp=8,
        global_batch_size=1024,
        sequence_tokens=4096,
    )
    assert trained["run_s"] < library.run_s
    assert trained["mfu"] > library.mfu
    alone = json.loads(run(*TRAIN, "--no-search", "--json").out)
    assert (alone["run_s"], alone["mfu"]) == pytest.approx((library.run_s, library.mfu))


def test_the_text_of_the_main_jobs(run: Any) -> None:
    served = run(*INFER).out
    assert served.startswith("llama-2-70b on 8 x GeForce RTX 4090\ntp 8: fits; ")
    for words in ("Memory of the fullest card", "KV cache", "One decode step", "USD/million tokens"):
        assert words in served
    for words in ("What a 10% better part gives", "limited by", "Assumptions", "Warnings", "Accuracy"):
        assert words in served
    trained = run(*TRAIN).out
    for words in ("2.00 T tokens take", "MFU", "HFU", "card-hours", "failures", "pipeline bubble", "USD/run"):
        assert words in trained


def test_long_and_short_spellings_are_the_same(run: Any) -> None:
    short = ("--batch", "4", "--prompt", "1k", "--output", "100", "--context", "1100", "--weights", "fp8")
    long = (
        *("--batch-size", "4", "--prompt-tokens", "1000", "--output-tokens", "100"),
        *("--context-tokens", "1100", "--weight-format", "fp8"),
    )
    line = ("infer", "llama-3.1-8b", "--on", "h100-sxm", "--json")
    assert run(*line, *short).out == run(*line, *long).out


def test_a_model_goes_round_through_a_file(run: Any, tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    made = run("model", "import", "llama-2-70b", "--set", "layers=40", "--id", "mine", "--output", str(file))
    assert made.code == 0
    assert "written to" in made.out
    line = ("--on", "1x8:rtx-4090", "--tp", "8", "--json")
    from_file = json.loads(run("infer", str(file), *line).out)
    direct = json.loads(run("infer", "llama-2-70b", "--set", "layers=40", "--set", "id=mine", *line).out)
    assert from_file == direct
    piped = json.loads(run("infer", "-", *line, stdin=file.read_text()).out)
    assert piped == direct
    before = file.read_bytes()
    refused = run("model", "import", "llama-2-7b", "--output", str(file))
    assert refused.code == 2
    assert "--force" in refused.err
    assert file.read_bytes() == before
    assert run("model", "import", "llama-2-7b", "--output", str(file), "--force").code == 0
    assert file.read_bytes() != before
    assert [path.name for path in tmp_path.iterdir()] == ["mine.toml"]


def test_a_cluster_goes_round_through_a_file(run: Any, tmp_path: Path) -> None:
    text = "2x4:rtx-4090+1x1:m2-ultra@25gbe"
    toml = run("cluster", "show", text, "--toml").out
    file = tmp_path / "mine.toml"
    file.write_text(toml)
    line = ("infer", "llama-2-70b", "--weights", "q4_k_m", "--json", "--on")
    direct = json.loads(run(*line, text).out)
    assert json.loads(run(*line, str(file)).out) == direct
    assert json.loads(run(*line, "-", stdin=toml).out) == direct


def test_explain_prints_the_derivation_and_its_papers(run: Any) -> None:
    found = run(*INFER, "--explain").out
    derivation = found[found.index("Derivation") :]
    assert "memory of the fullest card = " in derivation
    assert "[rajbhandari-2020] Rajbhandari et al. 2020" in derivation
    shallow = run(*INFER, "--explain", "--explain-depth", "2").out
    deep = run(*INFER, "--explain", "--explain-depth", "20").out
    assert len(shallow) < len(found) < len(deep)
    assert json.loads(run(*INFER, "--explain", "--json").out)["terms"]
    assert json.loads(run(*INFER, "--json").out)["terms"] == []


def test_ideal_is_faster(run: Any) -> None:
    plain, ideal = (json.loads(run(*INFER, "--json", *more).out) for more in ([], ["--ideal"]))
    assert ideal["tokens_per_s"] > plain["tokens_per_s"]


def test_sensitivity_can_be_left_out(run: Any) -> None:
    assert "10% better" in run(*INFER).out
    assert "10% better" not in run(*INFER, "--no-sensitivity").out


def test_an_encoder_only_reads(run: Any) -> None:
    found = run("infer", "bert-base", "--on", "rtx-4090", "--prompt", "512")
    assert found.code == 0
    assert "tokens are read in" in found.out
    assert "USD/million tokens" not in found.out


def test_an_offload_says_what_hosts_must_hold(run: Any) -> None:
    found = run("train", "llama-2-70b", "--on", "1x8:rtx-4090", "--offload", "optimizer+weights", "--json")
    estimate = json.loads(found.out)
    (words,) = (text for text in estimate["warnings"] if text.startswith("offload needs "))
    assert words.endswith("for each of its cards; how much hosts have is not described")
    # Weights and states of Adam in a 70B model: 14 bytes of each parameter.
    size, _, unit = words.removeprefix("offload needs ").partition(" of ")[0].partition(" ")
    assert float(size) * {"GiB": 2**30, "TiB": 2**40}[unit] == pytest.approx(14 * 69e9, rel=0.1)
    told = run("train", "llama-2-7b", "--on", "1x8:a100-sxm-80gb", "--offload", "none", "--json")
    assert "offload" not in " ".join(json.loads(told.out)["warnings"])


def test_an_engine_is_checked_before_anything_is_searched(run: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(farthing.api, "search", lambda *_, **__: pytest.fail("searched"))
    assert run(*INFER, "--launch", "megatron-lm").code == 2


def test_a_default_is_said_once(run: Any) -> None:
    for command in ("infer", "train"):
        for option in run(command, "--help").out.split("\n  -"):
            assert option.count("[default:") <= 1, option


def test_the_help_names_engines_of_its_own_kind(run: Any) -> None:
    words = {command: " ".join(run(command, "--help").out.split()) for command in ("infer", "train")}
    assert "commands of vllm, sglang, tensorrt-llm or llama.cpp" in words["infer"]
    assert "commands of megatron-lm, torchtitan or deepspeed" in words["train"]
    assert farthing.api.launchers("inference") == ("vllm", "sglang", "tensorrt-llm", "llama.cpp")
    assert farthing.api.launchers("training") == ("megatron-lm", "torchtitan", "deepspeed")


def test_filters_and_order(run: Any) -> None:
    cards = json.loads(
        run("gpu", "list", "--vendor", "NVIDIA", "--architecture", "hopper", "--sort", "memory", "--json").out
    )
    assert {card["architecture"] for card in cards} == {"hopper"}
    sizes = [card["memory_bytes"] for card in cards]
    assert sizes == sorted(sizes, reverse=True)
    models = json.loads(run("model", "list", "--family", "llama", "--search", "llama-2", "--json").out)
    assert {"llama-2-7b", "llama-2-13b", "llama-2-70b"} <= {row["model"]["id"] for row in models}
    assert {row["model"]["family"] for row in models} == {"llama"}


def test_own_prices(run: Any) -> None:
    found = json.loads(run(*INFER, "--usd-per-accelerator-hour", "0.5", "--json").out)
    rent = next(cost for cost in found["costs"] if cost["way"] == "rent")
    assert rent["usd_per_s"] == pytest.approx(8 * 0.5 / 3600)


def test_the_installed_process(process: Any) -> None:
    found = process(*INFER)
    assert (found.code, found.err) == (0, "")
    assert "tp 8: fits" in found.out
    assert "█" in found.out


def test_the_package_is_a_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "farthing", "--version"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, f"farthing {farthing.__version__}\n")


def test_a_terminal_without_unicode(process: Any) -> None:
    found = process(*INFER, "--explain", PYTHONIOENCODING="ascii", PYTHONUTF8="0")
    assert found.code == 0
    assert "####" in found.out
    assert "80 x layer matrix products" in found.out
    assert "?" not in found.out


@pytest.mark.skipif(os.name != "posix", reason="needs a terminal of its own")
@pytest.mark.parametrize(("environment", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False)])
def test_colour_is_for_terminals(environment: dict[str, str], coloured: bool) -> None:
    import pty

    terminal, child = pty.openpty()
    clean = {key: value for key, value in os.environ.items() if key not in ("NO_COLOR", "FORCE_COLOR")}
    clean |= {"TERM": "xterm-256color", "COLUMNS": "80"}
    done = subprocess.Popen(
        [sys.executable, "-m", "farthing.cli.main", "model", "show", "llama-2-7b"],
        stdout=child,
        env=clean | environment,
    )
    os.close(child)
    shown = b""
    while True:
        try:
            piece = os.read(terminal, 65536)
        except OSError:
            break
        if not piece:
            break
        shown += piece
    os.close(terminal)
    assert done.wait(60) == 0
    assert b"llama-2-7b" in shown
    assert (b"\x1b[" in shown and b"\x1b[2m" in shown) is coloured


@pytest.mark.skipif(os.name != "posix", reason="needs a shell")
def test_a_reader_that_goes_away() -> None:
    line = f"{sys.executable} -m farthing.cli.main gpu list | head -1"
    done = subprocess.run(line, shell=True, capture_output=True, text=True, timeout=60, check=False)
    assert done.stderr == ""
    assert done.stdout.split()[0] == "id"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_told() -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "farthing.cli.main", "gpu", "list"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode == 1
    assert done.stderr.startswith("farthing: error: cannot write")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(("arguments", "limit"), [(("--help",), 3.0), (INFER, 7.0)])
def test_cold_start(process: Any, arguments: tuple[str, ...], limit: float) -> None:
    """Against the start of a bare interpreter here, so that a slow machine does not fail it."""

    def seconds(call: Any) -> float:
        best = float("inf")
        for _ in range(3):
            start = time.perf_counter()
            call()
            best = min(best, time.perf_counter() - start)
        return best

    numpy = seconds(
        lambda: subprocess.run([sys.executable, "-c", "import numpy, click"], timeout=60, check=True)
    )
    assert seconds(lambda: process(*arguments)) < limit * numpy


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; from farthing.cli.main import main; main(['--help']); "
        "sys.exit(sum(name in sys.modules for name in ('numpy', 'rich', 'msgspec', 'farthing.api')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=60, check=False)
    assert done.returncode == 0


@pytest.mark.parametrize("encoding", ["ascii", "utf-8"])
def test_charts_read_without_colour_and_in_ascii(process: Any, encoding: str) -> None:
    compare = ("gpu", "compare", "rtx-4090", "h100-sxm", "--model", "llama-3.1-8b", "--chart")
    found = process(*compare, PYTHONIOENCODING=encoding, NO_COLOR="1")
    assert (found.code, found.err) == (0, "")
    assert found.out.isascii() == (encoding == "ascii")
    assert "\x1b" not in found.out
    assert "?" not in found.out
    charts = found.out.partition("Throughput of a card: llama-3.1-8b")[2]
    assert charts.count("inference") == charts.count("training") == 6
