"""What the commands of serving engines mean."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from tests.launch.flags import words
from tests.launch.reading import values

from farthing import catalog
from farthing.catalog.cluster import parse_cluster
from farthing.launch import llama_cpp, sglang, tensorrt_llm, vllm
from farthing.records.launch import Launch
from farthing.records.plan import InferencePlan
from farthing.records.workload import InferenceWorkload

PAIR = "2x8:h100-sxm@ib-ndr"


def launch(engine: Any, model: str = "llama-2-70b", cluster: str = PAIR, **fields: Any) -> Launch:
    load = {"batch_size": 64, "prompt_tokens": 1000, "output_tokens": 500}
    load |= {name: fields.pop(name) for name in [*fields] if name in InferenceWorkload.__dataclass_fields__}
    found = engine(
        catalog.model(model), parse_cluster(cluster), InferenceWorkload(**load), InferencePlan(**fields)
    )
    assert isinstance(found, Launch)
    return found


def test_vllm_serves_a_plan_of_one_host() -> None:
    found = launch(vllm, cluster="1x8:h100-sxm", tp=8, kv_format="fp8", chunk_tokens=2048, prefix_share=0.5)
    flags = values(found, "vllm")
    assert flags["--tensor-parallel-size"] == "8"
    assert flags["--max-model-len"] == "1500"
    assert flags["--max-num-seqs"] == "64"
    assert flags["--max-num-batched-tokens"] == "2048"
    assert {"--enable-chunked-prefill", "--enable-prefix-caching"} <= set(flags)
    assert flags["--kv-cache-dtype"] == "fp8"
    assert found.cannot == ()
    assert [command.where for command in found.commands] == ["this host"]


def test_vllm_starts_a_process_on_each_host() -> None:
    found = launch(vllm, tp=8, pp=2)
    first, second = (values(found, "vllm", number) for number in (0, 1))
    assert (first["--nnodes"], first["--node-rank"], first["--master-addr"]) == ("2", "0", "HOST_1")
    assert (second["--node-rank"], second["--master-addr"]) == ("1", "HOST_1")
    assert "--headless" in second
    assert "--headless" not in first


def test_vllm_reads_its_rank_on_many_hosts() -> None:
    found = launch(vllm, cluster="16x8:h100-sxm@ib-ndr", model="llama-3.1-405b", tp=8, pp=16)
    assert [command.where for command in found.commands] == ["host 1", "hosts 2 to 16"]
    assert '--node-rank "$RANK"' in found.commands[1].text
    assert any("export RANK=1 on the second host" in note for note in found.notes)


def test_vllm_needs_ray_over_unlike_hosts() -> None:
    found = launch(vllm, model="llama-2-7b", cluster="1x2:h100-sxm+1x1:h100-sxm@ib-ndr", pp=3)
    assert [words(command.text)[1][0] for command in found.commands] == ["ray", "ray", "vllm"]
    assert values(found, "vllm", 2)["--distributed-executor-backend"] == "ray"


def test_vllm_gives_uneven_stages() -> None:
    found = launch(vllm, cluster="1x8:h100-sxm", pp=3, stage_layers=(26, 27, 27))
    assert words(found.commands[0].text)[0]["VLLM_PP_LAYER_PARTITION"] == "26,27,27"


def test_vllm_joins_replicas_that_share_experts() -> None:
    found = launch(vllm, model="deepseek-v3", tp=1, dp=16, ep=16, weight_format="fp8-block")
    first, second = (values(found, "vllm", number) for number in (0, 1))
    assert "--enable-expert-parallel" in first
    assert first["--data-parallel-size"] == "16"
    assert first["--data-parallel-size-local"] == "8"
    assert second["--data-parallel-start-rank"] == "8"
    assert "--quantization" not in first
    said = launch(vllm, model="deepseek-v3", tp=2, dp=8, ep=8).cannot
    assert any("--ep 16" in sentence for sentence in said)


def test_vllm_serves_replicas_of_a_mixture_apart() -> None:
    """Joined without expert parallelism vLLM would cut the experts over all replicas."""
    found = launch(vllm, model="mixtral-8x7b", cluster="1x8:h100-sxm", tp=4, dp=2)
    assert len(found.commands) == 2
    assert [words(command.text)[0]["CUDA_VISIBLE_DEVICES"] for command in found.commands] == [
        "0,1,2,3",
        "4,5,6,7",
    ]
    assert {values(found, "vllm", number)["--port"] for number in (0, 1)} == {"8000", "8001"}


def test_vllm_names_the_draft_model() -> None:
    found = launch(vllm, cluster="1x8:h100-sxm", tp=8, draft_tokens=5)
    assert '"num_speculative_tokens": 5' in found.commands[0].text
    assert any("DRAFT_MODEL stands for" in note for note in found.notes)


@pytest.mark.parametrize(
    ("weights", "flag"),
    [("fp8", "fp8"), ("mxfp8", "mxfp8"), ("w8a16", "int8_per_channel_weight_only"), ("awq-int4", None)],
)
def test_vllm_quantises_where_it_can(weights: str, flag: str | None) -> None:
    found = launch(vllm, cluster="1x8:h100-sxm", tp=8, weight_format=weights)
    assert values(found, "vllm").get("--quantization") == flag
    assert found.cannot == ()
    assert flag or any("AWQ" in note for note in found.notes)


def test_vllm_refuses_gguf_and_apple() -> None:
    said = launch(vllm, cluster="1x8:h100-sxm", tp=8, weight_format="q4_k_m").cannot
    assert any("llama.cpp" in sentence for sentence in said)
    apple = launch(vllm, model="llama-2-7b", cluster="1x1:m2-ultra")
    assert apple.commands == ()
    assert "Apple" in apple.cannot[0]


def test_sglang_numbers_its_nodes() -> None:
    found = launch(sglang, tp=16)
    for rank in (0, 1):
        flags = values(found, "sglang", rank)
        assert (flags["--nnodes"], flags["--node-rank"]) == ("2", str(rank))
        assert flags["--dist-init-addr"] == "HOST_1:20000"
        assert flags["--tp-size"] == "16"


def test_sglang_counts_all_cards_in_its_tensor_parallelism() -> None:
    found = launch(
        sglang, model="deepseek-v3", tp=2, dp=8, ep=8, weight_format="fp8-block", chunk_tokens=1024
    )
    flags = values(found, "sglang")
    assert (flags["--tp-size"], flags["--attn-dp-size"], flags["--ep-size"]) == ("16", "8", "8")
    assert flags["--chunked-prefill-size"] == "8192"
    assert flags["--max-running-requests"] == "64"


def test_sglang_drafts() -> None:
    flags = values(launch(sglang, cluster="1x8:h100-sxm", tp=8, draft_tokens=3), "sglang")
    assert flags["--speculative-algorithm"] == "STANDALONE"
    assert (flags["--speculative-num-steps"], flags["--speculative-num-draft-tokens"]) == ("3", "4")


def test_tensorrt_llm_has_its_yaml() -> None:
    found = launch(tensorrt_llm, cluster="1x8:h100-sxm", tp=2, pp=3, kv_format="fp8", draft_tokens=4)
    config = yaml.safe_load(found.files[0].text)
    assert config["kv_cache_config"]["dtype"] == "fp8"
    assert sum(config["pp_partition"]) == 80
    assert config["speculative_config"]["max_draft_len"] == 4
    flags = values(found, "trtllm-serve")
    assert (flags["--tp_size"], flags["--pp_size"]) == ("2", "3")
    assert flags["--config"] == found.files[0].name


def test_tensorrt_llm_starts_by_mpi_over_hosts() -> None:
    found = launch(tensorrt_llm, tp=8, pp=2)
    assert values(found, "mpirun") == {"-n": "16", "-H": "HOST_1:8,HOST_2:8"}


def test_tensorrt_llm_runs_attention_on_every_card_or_none() -> None:
    found = launch(tensorrt_llm, model="deepseek-v3", tp=1, dp=16, ep=16, weight_format="fp8-block")
    assert yaml.safe_load(found.files[0].text)["enable_attention_dp"] is True
    assert values(found, "trtllm-serve")["--tp_size"] == "16"
    mixed = launch(tensorrt_llm, model="deepseek-v3", tp=2, dp=8, ep=16)
    assert mixed.commands == ()
    assert "--tp 1 --dp 16" in mixed.cannot[0]


def test_llama_cpp_splits_by_layers_with_the_head_on_the_last_card() -> None:
    found = launch(llama_cpp, cluster="1x8:rtx-4090", pp=8, weight_format="q4_k_m")
    flags = values(found, "llama-server")
    assert flags["--tensor-split"] == "10,10,10,10,10,10,10,11"
    assert flags["--split-mode"] == "layer"
    assert flags["--ctx-size"] == str(64 * 1500)
    assert flags["--parallel"] == "64"


@given(st.lists(st.integers(1, 40), min_size=2, max_size=12))
def test_its_split_gives_each_card_its_layers(layers: list[int]) -> None:
    """Layer i of n, the head behind them, goes to the first card whose running share exceeds i / (n + 1).

    llama.cpp compares in single precision.
    """
    model = dataclasses.replace(catalog.model("llama-2-70b"), layers=sum(layers))
    found = llama_cpp(
        model,
        parse_cluster(f"1x{len(layers)}:rtx-4090"),
        InferenceWorkload(),
        InferencePlan(pp=len(layers), stage_layers=tuple(layers), weight_format="q4_k_m"),
    )
    split = np.array(values(found, "llama-server")["--tensor-split"].split(","), np.float32)
    edges = np.cumsum(split) / np.sum(split)
    count = sum(layers) + 1
    cards = np.searchsorted(edges, np.arange(count, dtype=np.float32) / np.float32(count), side="right")
    assert [int(np.sum(cards[:-1] == card)) for card in range(len(layers))] == layers
    assert cards[-1] == len(layers) - 1


def test_vllm_puts_dense_replicas_behind_one_front() -> None:
    found = launch(vllm, tp=4, dp=4)
    assert values(found, "vllm")["--data-parallel-size"] == "4"
    assert values(found, "vllm", 1)["--data-parallel-start-rank"] == "2"
    assert values(found, "vllm")["--max-num-seqs"] == "16"


def test_llama_cpp_weighs_unlike_machines() -> None:
    found = launch(
        llama_cpp,
        cluster="1x2:rtx-4090+1x1:m2-ultra@10gbe",
        pp=3,
        stage_layers=(20, 20, 40),
        weight_format="q4_k_m",
    )
    assert [command.where for command in found.commands] == ["host 1", "host 2"]
    assert words(found.commands[0].text)[1][0] == "rpc-server"
    flags = values(found, "llama-server", 1)
    assert flags["--rpc"] == "HOST_1:50052"
    assert flags["--tensor-split"] == "20,20,41"


def test_llama_cpp_splits_tensors_inside_a_host_only() -> None:
    inside = launch(llama_cpp, cluster="1x8:rtx-4090", tp=4, weight_format="q4_k_m")
    assert values(inside, "llama-server")["--split-mode"] == "tensor"
    assert any("experimental" in note for note in inside.notes)
    both = launch(llama_cpp, cluster="1x8:rtx-4090", tp=4, pp=2, weight_format="q4_k_m")
    assert both.commands == ()
    assert "--pp 8" in both.cannot[0]
    across = launch(llama_cpp, cluster="2x4:rtx-4090@25gbe", tp=8, weight_format="q4_k_m")
    assert across.commands == ()
    assert "one host" in across.cannot[0]


def test_llama_cpp_has_no_expert_parallelism() -> None:
    found = launch(
        llama_cpp, model="mixtral-8x7b", cluster="1x8:rtx-4090", pp=8, ep=1, weight_format="q4_k_m"
    )
    assert found.cannot == ()
    said = launch(llama_cpp, model="mixtral-8x7b", cluster="1x8:rtx-4090", tp=8, ep=8, weight_format="q4_k_m")
    assert any("expert parallelism" in sentence for sentence in said.cannot)


@pytest.mark.parametrize("engine", [vllm, sglang, tensorrt_llm])
def test_replicas_in_the_middle_of_hosts_are_refused(engine: Any) -> None:
    found = launch(engine, model="mixtral-8x7b", tp=6, dp=2)
    assert found.commands == ()
    assert any("middle of a host" in sentence for sentence in found.cannot)


@pytest.mark.parametrize("engine", [vllm, sglang, tensorrt_llm])
def test_like_servers_are_one_command_for_all_hosts(engine: Any) -> None:
    found = launch(engine, model="mixtral-8x7b", tp=8, dp=2)
    assert [command.where for command in found.commands] == ["every host"]
