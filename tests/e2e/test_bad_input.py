"""Bad input of every kind: exit 2 or 3, one line on standard error that says what to do, no traceback."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

INFER = ("infer", "llama-2-70b", "--on", "1x8:rtx-4090")
TRAIN = ("train", "llama-2-7b", "--on", "1x8:a100-sxm-80gb")

ADVICE = re.compile(
    r"did you mean|see: |use |give |write |name |add |choose |set |lower |at most|at least|must |needs |"
    r"one of|correct it|what can: |is missing|"
    r"change |leave |allow |commands are known for |only one|there are|would fit|Possible|download|describe|"
    r"a shape needs|take |delete |e\.g\. |fields: "
)
"""A message names a way out: a name, a range, a spelling, a thing to change."""


def check(result: Any, said: str, code: int = 2) -> None:
    assert result.code == code, result
    assert len(result.err.splitlines()) == 1, result.err
    assert result.err.startswith("farthing: error: ")
    assert "Traceback" not in result.err + result.out
    assert said in result.err
    assert ADVICE.search(result.err), result.err
    if code == 2:
        assert result.out == ""


NAMES = [
    (("infre", "x"), "did you mean infer"),
    (("gpu", "lsit"), "list"),
    (("infer", "llama-2-71b", "--on", "rtx-4090"), "did you mean llama-2-7"),
    (("infer", "llama-2-7b", "--on", "rtx-4091"), "did you mean rtx-4090"),
    (("infer", "llama-2-7b", "--on", "2x1:rtx-4090@10gb"), "did you mean 10gbe"),
    ((*INFER, "--engine", "vlmm"), "did you mean vllm"),
    ((*INFER, "--weights", "q4km"), "did you mean q4_k_m"),
    ((*INFER, "--kv", "fp9"), "number format 'fp9'"),
    ((*TRAIN, "--optimizer", "adamm"), "did you mean adam"),
    ((*TRAIN, "--schedule", "1f2b"), "did you mean 1f1b"),
    ((*TRAIN, "--recompute", "some"), "none, selective, operations, full"),
    ((*TRAIN, "--offload", "all"), "optimizer+weights"),
    ((*TRAIN, "--gradient-format", "fp3"), "did you mean fp32"),
    (("gpu", "show", "h100-smx"), "did you mean h100-sxm"),
    (("gpu", "list", "--vendor", "nvidai"), "did you mean NVIDIA"),
    (("gpu", "list", "--kind", "gpuu"), "gpu"),
    (("gpu", "compare", "rtx-4090", "--model", "llama-2-7"), "did you mean llama-2-7b"),
    (("model", "list", "--family", "lama"), "did you mean llama"),
    (("chip", "h100-smx"), "did you mean h100-sxm"),
    (("chip", "rtx-4080"), "silicon of 'rtx-4080' is not in the catalogue"),
    (("chip", "mi300x", "--article"), "name h100-sxm or rtx-4090"),
    (("chip", "h100-sxm", "--article", "--defects", "0.1"), "leave out the options"),
    (("chip", "h100-sxm", "--yield-model", "murphi"), "did you mean murphy"),
    (("chip", "h100-sxm", "--clustering", "2"), "add --yield-model negative-binomial"),
    (("chip", "--explain"), "name one"),
    (("chip", "h100-sxm", "--defects", "nan"), "is not a number"),
    (("chip", "h100-sxm", "--wafer-usd", "0"), "give more than 0"),
    (("chip", "h100-sxm", "--memory-usd-per-gb", "-1"), "out of range"),
    (("completion", "tcsh"), "bash, zsh, fish"),
    ((*INFER, "--bogus"), "--bogus"),
    ((*INFER, "--set", "layer=12"), "did you mean layers"),
]


@pytest.mark.parametrize(("arguments", "said"), NAMES, ids=lambda value: " ".join(value)[-40:])
def test_unknown_names_get_the_nearest(run: Any, arguments: tuple[str, ...], said: str) -> None:
    check(run(*arguments), said)


SIZES = ("--tp", "--pp", "--dp", "--ep", "--batch", "--context", "--prompt", "--micro-batches")
NUMBERS = ("-1", "nan", "inf", "-inf", "1e300", "99999999999999999999", "abc", "2.5", "", "1 2", "0x8", "٣x")


@pytest.mark.parametrize("option", SIZES)
@pytest.mark.parametrize("value", NUMBERS)
def test_sizes_that_are_none(run: Any, option: str, value: str) -> None:
    check(run(*INFER, option, value), option)


@pytest.mark.parametrize(
    "option", ["--tp", "--pp", "--dp", "--cp", "--micro-batch", "--global-batch", "--seq"]
)
def test_zero_sizes(run: Any, option: str) -> None:
    check(run(*TRAIN, option, "0"), "give 1 to")


@pytest.mark.parametrize("value", ["0", "-2T", "nan", "inf", "1e30", "many", "2Q", ""])
def test_tokens_that_are_none(run: Any, value: str) -> None:
    check(run(*TRAIN, "--tokens", value), "--tokens")


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--prefix-share", "1"),
        ("--prefix-share", "-0.1"),
        ("--prefix-share", "nan"),
        ("--acceptance-rate", "1.5"),
        ("--draft-cost-share", "-1"),
        ("--overlap-communication", "2"),
        ("--usd-per-kwh", "-1"),
        ("--usd-per-kwh", "cheap"),
        ("--years", "0"),
        ("--pue", "0.5"),
        ("--explain-depth", "0"),
        ("--stage-layers", "a,b"),
        ("--stage-layers", "1,2"),
    ],
)
def test_numbers_out_of_range(run: Any, option: str, value: str) -> None:
    check(run(*INFER, option, value), option.strip("-").partition("-")[0])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((*INFER, "--tp", "3"), "64 heads"),
        ((*INFER, "--pp", "81"), "has 80"),
        ((*INFER, "--tp", "8", "--pp", "2"), "16 cards"),
        ((*INFER, "--tp", "1", "--dp", "3", "--batch", "2"), "batch of at least 3"),
        ((*INFER, "--ep", "2"), "dense"),
        ((*INFER, "--kv", "q4_k_m"), "cannot hold a KV cache"),
        ((*INFER, "--compute-format", "q4_k_m"), "cannot hold activations"),
        (("infer", "mixtral-8x7b", "--on", "1x8:h100-sxm", "--tp", "8", "--ep", "3"), "8 experts"),
        (("infer", "bert-base", "--on", "rtx-4090", "--output", "5"), "encoder"),
        ((*TRAIN, "--global-batch", "7", "--dp", "8"), "not a multiple"),
        ((*TRAIN, "--global-batch", "7", "--no-search"), "not a multiple"),
        ((*TRAIN, "--cp", "3"), "does not divide"),
        ((*TRAIN, "--tp", "8", "--pp", "8"), "64 cards"),
        ((*TRAIN, "--zero", "4"), "give 0 to 3"),
        ((*TRAIN, "--interleave", "2", "--no-search"), "interleaved"),
        ((*TRAIN, "--interleave", "2", "--schedule", "1f1b"), "interleave"),
        ((*TRAIN, "--expert-tp", "3"), "expert_tp"),
        ((*INFER, "--set", "layers"), "FIELD=VALUE"),
        ((*INFER, "--set", "=3"), "FIELD=VALUE"),
        ((*INFER, "--set", "layers=0"), "at least 1"),
        ((*INFER, "--set", "layers=100000000"), "at most"),
        ((*INFER, "--set", "layers=many"), "whole number"),
        ((*INFER, "--set", "heads=7"), "must divide"),
        ((*INFER, "--set", "gated_ffn=3"), "true or false"),
        (("gpu", "compare", "rtx-4090", "--weights", "fp8"), "--model"),
        (("gpu", "compare", "rtx-4090", "--chart"), "add --model"),
        (("gpu", "compare", "rtx-4090", "--plot", "a.svg"), "add --model"),
        (("gpu", "compare", "rtx-4090", "--model", "llama-2-7b", "--plot", "a.gif"), "ends in .svg"),
        (("gpu", "compare", "rtx-4090", "--model", "llama-2-7b", "--plot", "no/a.svg"), "no folder"),
        (("gpu", "compare", "rtx-4090", "--model", "llama-2-7b", "--chart", "--json"), "not both"),
        (("gpu", "compare", "rtx-4090", "--model", "llama-2-7b", "--lora-rank", "0"), "out of range"),
        (("cluster", "show", "rtx-4090", "--json", "--toml"), "not both"),
        (("model", "import", "llama-2-7b", "--output", "shape.json"), ".toml"),
        (("model", "import", "llama-2-7b", "--output", "/no/such/folder/x.toml"), "cannot write"),
    ],
    ids=lambda value: " ".join(value)[-40:],
)
def test_plans_that_make_no_sense(run: Any, arguments: tuple[str, ...], said: str) -> None:
    check(run(*arguments), said)


SEARCHES = [
    ((*INFER, "--tp", "4,,8"), "nothing between two commas"),
    ((*INFER, "--tp", "4,"), "nothing between two commas"),
    ((*INFER, "--tp", ","), "nothing between two commas"),
    ((*INFER, "--weights", "bf16,"), "nothing between two commas"),
    ((*INFER, "--stage-layers", "40,,40"), "nothing between two commas"),
    ((*TRAIN, "--zero", "0,,1"), "nothing between two commas"),
    ((*INFER, "--tp", "0,4"), "give 1 to"),
    ((*INFER, "--tp", "4,x"), "is not a whole number"),
    ((*INFER, "--tp", "[4,8]"), "is not a whole number"),
    ((*INFER, "--tp", "4-8"), "is not a whole number"),
    ((*INFER, "--tp", "3,5"), "heads that tp does not divide"),
    ((*INFER, "--tp", "16,32"), "allow other sizes"),
    ((*TRAIN, "--tp", "3,5"), "allow other sizes"),
    ((*TRAIN, "--global-batch", "1,2"), "give one, without commas"),
    ((*TRAIN, "--seq", "4096,8192"), "give one, without commas"),
    ((*INFER, "--max-batch", "8,16"), "give one, without commas"),
    ((*INFER, "--weights", "bf16,fp9"), "did you mean fp8"),
    ((*INFER, "--engine", "vllm,vlmm"), "did you mean vllm"),
    ((*INFER, "--engine", "megatron-lm"), "choose one that serves them"),
    ((*INFER, "--engine", "mlx"), "MLX LM does not run on GeForce RTX 4090"),
    ((*TRAIN, "--engine", "vllm"), "choose one that trains them"),
    ((*INFER, "--objective", "cheap"), "one of tokens-per-s"),
    ((*INFER, "--objective", "step"), "one of tokens-per-s"),
    ((*INFER, "--objective", "tpot,usd"), "did you mean tpot, usd"),
    ((*INFER, "--objective", ""), "one of tokens-per-s"),
    ((*TRAIN, "--objective", "tpot"), "did you mean step"),
    ((*INFER, "--front", "tpot"), "write e.g. tpot,usd"),
    ((*INFER, "--front", "tpot,tpot"), "write e.g. tpot,usd"),
    ((*INFER, "--front", "tpot,usd,memory,energy"), "two or three"),
    ((*INFER, "--front", "tpot,step"), "did you mean tpot"),
    ((*TRAIN, "--front", "step"), "write e.g. step,memory"),
    ((*INFER, "--top", "0"), "give 1 to 100"),
    ((*INFER, "--top", "101"), "give 1 to 100"),
    ((*INFER, "--ttft", "0s"), "more than 0"),
    ((*INFER, "--tpot", "50"), "has no unit; write it like 50ms"),
    ((*INFER, "--tpot", "-5ms"), "write it like 50ms"),
    ((*INFER, "--tpot", "50parsecs"), "write it like 50ms"),
    ((*INFER, "--tpot", "nan"), "write it like 50ms"),
    ((*INFER, "--usd-per-million", "0"), "give more than 0"),
    ((*INFER, "--usd-per-million", "nan"), "write it like 0.25"),
    ((*INFER, "--headroom", "1"), "give 0 to 0.99"),
    ((*INFER, "--headroom", "20%"), "write it like 0.25"),
    ((*INFER, "--max-batch", "0"), "give 1 to"),
    ((*INFER, "--max-batch", "8", "--batch", "64"), "leave one out"),
    ((*INFER, "--within", "1d"), "--within"),
    ((*INFER, "--objctive", "usd"), "Did you mean '--objective'"),
    ((*TRAIN, "--within", "30d"), "needs training_tokens"),
    ((*TRAIN, "--max-usd", "100"), "needs training_tokens"),
    ((*TRAIN, "--tokens", "1B", "--max-usd", "0"), "give more than 0"),
    ((*TRAIN, "--tokens", "1B", "--within", "0d"), "more than 0"),
    ((*INFER, "--launch", "vlmm"), "did you mean vllm"),
    ((*INFER, "--launch", ""), "commands are known for vllm"),
    ((*INFER, "--launch", "mlx"), "commands are known for vllm"),
    ((*INFER, "--launch", "megatron-lm"), "use one of vllm"),
    ((*TRAIN, "--launch", "vllm"), "use one of megatron-lm"),
    ((*TRAIN, "--launch", "megatron"), "did you mean megatron-lm"),
    ((*INFER, "--no-search", "--tp", "4,8"), "give one value of --tp"),
    ((*INFER, "--no-search", "--weights", "bf16,fp8"), "give one value of --weights"),
    ((*INFER, "--no-search", "--objective", "usd"), "leave out --objective"),
    ((*INFER, "--no-search", "--ttft", "1s"), "leave out --ttft"),
    ((*INFER, "--no-search", "--top", "3"), "leave out --top"),
    ((*TRAIN, "--no-search", "--tokens", "1B", "--within", "1d"), "leave out --within"),
    (("infer", "llama-2-70b", "--on", "1x4:rtx-4090", "--dp", "8"), "= 8 cards; 1x4:rtx-4090 has 4"),
    ((*INFER, "--dp", "2", "--micro-batches", "4", "--batch", "4"), "a batch of at least 8"),
    ((*INFER, "--stage-layers", "40,40", "--tp", "8"), "= 16 cards"),
    (("infer", "bert-base", "--on", "rtx-4090", "--objective", "tpot"), "use ttft"),
    (("infer", "bert-base", "--on", "rtx-4090", "--tpot", "5ms"), "use ttft"),
    ((*TRAIN, "--interleave", "2", "--pp", "1"), "pp of at least 2"),
    ((*TRAIN, "--schedule", "interleaved", "--pp", "1"), "pp of at least 2"),
    ((*TRAIN, "--schedule", "interleaved", "--interleave", "1"), "at least 2"),
    ((*TRAIN, "--recompute", "none", "--recompute-share", "0.5"), "goes with recompute=full"),
    ((*TRAIN, "--first-spared", "100"), "lower it"),
]


@pytest.mark.parametrize(("arguments", "said"), SEARCHES, ids=lambda value: " ".join(value)[-40:])
def test_searches_that_make_no_sense(run: Any, arguments: tuple[str, ...], said: str) -> None:
    check(run(*arguments), said)


@pytest.mark.parametrize("as_json", [False, True])
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((*INFER, "--tpot", "1ms", "--batch", "1"), "a token, not 1.00 ms"),
        ((*INFER, "--usd-per-million", "0.001"), "a million tokens, not $0.001"),
        ((*TRAIN, "--tokens", "1T", "--within", "1h", "--pp", "1"), "not 60.0 min"),
    ],
)
def test_limits_that_nothing_keeps(run: Any, arguments: tuple[str, ...], said: str, as_json: bool) -> None:
    found = run(
        *arguments,
        "--launch",
        "vllm" if arguments[0] == "infer" else "megatron-lm",
        *(["--json"] if as_json else []),
    )
    assert found.code == 3
    assert len(found.err.splitlines()) == 1
    assert said in found.err
    assert "would help: a limit of" in found.err
    if as_json:
        answer = json.loads(found.out)
        assert answer["search"]["best"] == []
        assert answer["search"]["miss"]["breaks"] in found.err
        assert "launch" not in answer
    else:
        assert found.out.startswith("No plan keeps the limits; the nearest ")
        assert "# on " not in found.out


@pytest.mark.parametrize(
    "arguments",
    [(), ("llama-2-7b",), ("llama-2-7b", "--on"), ("llama-2-7b", "--on", "rtx-4090", "more")],
    ids=["nothing", "no cluster", "no value", "too much"],
)
@pytest.mark.parametrize("command", ["infer", "train"])
def test_missing_and_superfluous_arguments(run: Any, command: str, arguments: tuple[str, ...]) -> None:
    check(run(command, *arguments), "see: farthing")


@pytest.mark.parametrize(
    ("cluster", "said"),
    [
        ("", "is not a cluster"),
        ("   ", "is not a cluster"),
        ("x:rtx-4090", "is not a cluster"),
        ("1x8:", "is not a cluster"),
        ("rtx-4090@", "is not a cluster"),
        ("1x8:rtx-4090@@10gbe", "is not a cluster"),
        ("1x8 rtx-4090", "is not a cluster"),
        ("0x8:rtx-4090", "hosts must be 1"),
        ("1x0:rtx-4090", "cards of a host must be 1"),
        ("99999999x1:rtx-4090@10gbe", "hosts must be 1"),
        ("2x8:rtx-4090", "name their network"),
        ("1x1:rtx-4090+1x1:rtx-3090", "name their network"),
        ("-4:rtx-4090", "is not a cluster"),
        ("../etc", "is not a cluster"),
        ("none.toml", "No such file"),
    ],
)
@pytest.mark.parametrize("command", [("infer", "llama-2-7b", "--on"), ("cluster", "show")])
def test_clusters_that_are_none(run: Any, command: tuple[str, ...], cluster: str, said: str) -> None:
    arguments = (*command, cluster) if command[0] == "infer" else (*command, "--", cluster)
    check(run(*arguments), said)


FILES = {
    "empty.toml": b"",
    "half.toml": b"layers = [1,\n",
    "unknown.toml": b"layers = 2\nhiden = 3\n",
    "types.toml": b'layers = "two"\nhidden = 64\nheads = 4\nffn_hidden = 256\nvocab = 1000\n',
    "negative.toml": b"layers = 2\nhidden = -64\nheads = 4\nffn_hidden = 256\nvocab = 1000\n",
    "encoding.toml": b"\xff\xfelayers = 2",
    "binary.toml": bytes(range(256)),
    "missing.json": b'{"model_type": "llama"}',
    "strange.json": b'{"model_type": "no-such-family"}',
    "half.json": b'{"model_type": ',
    "list.json": b"[]",
    "deep.json": b"[" * 100_000,
    "garbage.gguf": bytes(range(256)) * 4,
    "empty.gguf": b"",
}


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("command", ["infer", "import"])
def test_model_files_that_are_none(run: Any, tmp_path: Path, name: str, command: str) -> None:
    file = tmp_path / name
    file.write_bytes(FILES[name])
    found = (
        run("infer", str(file), "--on", "rtx-4090")
        if command == "infer"
        else run("model", "import", str(file))
    )
    assert found.code == 2
    assert len(found.err.splitlines()) == 1
    assert found.out == ""
    assert "Traceback" not in found.err


@pytest.mark.parametrize("name", ["none.toml", "none.json", "none.gguf"])
def test_missing_model_files(run: Any, tmp_path: Path, name: str) -> None:
    found = run("infer", str(tmp_path / name), "--on", "rtx-4090")
    assert found.code == 2
    assert name in found.err
    assert len(found.err.splitlines()) == 1


def test_a_folder_without_a_configuration(run: Any, tmp_path: Path) -> None:
    check(run("infer", str(tmp_path), "--on", "rtx-4090"), "config.json")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"", "[[group]]"),
        (b"[[group]]\n", "accelerator is missing"),
        (b"[[group]]\naccelerator = 3\n", "a text in quotes"),
        (b'[[group]]\naccelerator = "rtx-4090"\nhosts = 0\n', "hosts must be 1"),
        (b'[[group]]\naccelerator = "rtx-4090"\nhost = "none"\n', "unknown host"),
        (b'[[group]]\naccelerator = "rtx-4090"\nhots = 1\n', "did you mean hosts"),
        (b'[[group]]\naccelerator = "rtx-4090"\nnetwork = { like = "10gb" }\n', "did you mean 10gbe"),
        (b"[[group]\n", "not valid TOML"),
        (b"\xff\xfe", "UTF-8"),
    ],
)
def test_cluster_files_that_are_none(run: Any, tmp_path: Path, text: bytes, said: str) -> None:
    file = tmp_path / "cluster.toml"
    file.write_bytes(text)
    check(run("infer", "llama-2-7b", "--on", str(file)), said)


@pytest.mark.parametrize("text", ["", "{", "layers = ", '{"model_type": "llama"}', "just words"])
def test_standard_input_that_is_no_model(run: Any, text: str) -> None:
    found = run("infer", "-", "--on", "rtx-4090", stdin=text)
    assert found.code == 2
    assert len(found.err.splitlines()) == 1


def test_standard_input_is_read_once(run: Any) -> None:
    check(run("infer", "-", "--on", "-"), "only one")


@pytest.mark.parametrize("as_json", [False, True])
@pytest.mark.parametrize(
    ("arguments", "missing"),
    [
        (("infer", "llama-2-70b", "--on", "rtx-4090"), "107 GiB"),
        (("infer", "llama-2-70b", "--on", "1x8:rtx-4090", "--tp", "8", "--batch", "500"), "GiB"),
        (("train", "llama-2-70b", "--on", "1x8:a100-sxm-80gb", "--offload", "none"), "GiB"),
        (("train", "llama-2-70b", "--on", "1x8:a100-sxm-80gb", "--no-search"), "GiB"),
    ],
)
def test_a_plan_that_does_not_fit(run: Any, arguments: tuple[str, ...], missing: str, as_json: bool) -> None:
    found = run(*arguments, *(["--json"] if as_json else []))
    assert found.code == 3
    assert len(found.err.splitlines()) == 1
    assert "does not fit: needs" in found.err
    assert missing in found.err
    if as_json:
        estimate = json.loads(found.out)
        assert estimate["fits"] is False
        assert estimate["memory"]["free_bytes"] < 0
        assert estimate["misfit"] in found.err
    else:
        assert "does not fit" in found.out
        assert "missing" in found.out


def test_json_errors_leave_standard_output_empty(run: Any) -> None:
    check(run("infer", "nope", "--on", "rtx-4090", "--json"), "unknown model")


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("infer", "llama-2-71b", "--on", "rtx-4090"), 2),
        (("infer", "llama-2-70b", "--on", "rtx-4090"), 3),
        (("infer", "bert-base", "--on", "1x8:rtx-4090", "--tp", "0"), 2),
        (("nothing",), 2),
    ],
)
def test_as_a_process(process: Any, arguments: tuple[str, ...], code: int) -> None:
    found = process(*arguments)
    assert found.code == code
    assert len(found.err.splitlines()) == 1
    assert "Traceback" not in found.err


def test_debug_shows_the_traceback(run: Any) -> None:
    found = run("infer", "nope", "--on", "rtx-4090", "--debug")
    assert found.code == 2
    assert "Traceback" in found.err
    assert found.err.splitlines()[-1].startswith("farthing: error: unknown model")
