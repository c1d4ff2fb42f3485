"""Names as sources print them find the catalogue's ids."""

import pytest

from farthing import catalog
from farthing.evidence.names import accelerator_of, accelerators_of, engine_of, model_of


@pytest.mark.parametrize(
    ("text", "id"),
    [
        ("meta-llama/Meta-Llama-3-8B", "llama-3-8b"),
        ("Llama 2 13 B LoRA", "llama-2-13b"),
        ("LLAMA3.1_405B", "llama-3.1-405b"),
        ("LLaMA-33B", "llama-30b"),
        ("llama-2-7b.Q4_K_M", "llama-2-7b"),
        ("DeepSeekV3 (w/o MTP)", "deepseek-v3"),
        ("DeepSeek-R1-Distill-Qwen-14B", "qwen2.5-14b"),
        ("deepseek2 671B Q8_0", "deepseek-v3"),
        ("qwen3moe 30B.A3B Q4_0", "qwen3-30b-a3b"),
        ("Qwen3-235B", "qwen3-235b-a22b"),
        ("Qwen/Qwen2.5-Coder-32B-Instruct", "qwen2.5-32b"),
        ("Gemma-2B", "gemma-2b"),
        ("google/gemma-2-2b-it", "gemma-2-2b"),
        ("gemma-4-26B-A4B-it-UD-Q8_K_XL", "gemma-4-26b-a4b"),
        ("Llama-4-Maverick (400B-A17B)", "llama-4-maverick-17b-128e"),
        ("GLM-4.6-355B-A32B", "glm-4.6"),
        ("Kimi-K2-1T", "kimi-k2"),
        ("Nemotron_3_Super", "nemotron-3-super-120b-a12b"),
        ("gptj-99.9", "gpt-j-6b"),
        ("GPT-3", "gpt-3-175b"),
        ("BLOOM-175B", "bloom-176b"),
        # Names that llama.cpp prints after an architecture and a size.
        ("deepseek2 16B Q4_K - Medium", "deepseek-v2-lite"),
        ("qwen2 14B Q4_K - Medium", "qwen2.5-14b"),
        ("qwen2 7B Q4_0", "qwen2-7b"),
        ("phi3 14B Q4_K - Medium", "phi-3-medium"),
        ("glm4moe 106B.A12B Q4_K - Medium", "glm-4.5-air"),
        # A tag of ollama's is a distilled model, but for the largest.
        ("deepseek-r1:14b", "qwen2.5-14b"),
        ("deepseek-r1:70b", "llama-3.3-70b"),
        # Other models of a known family, and names that say too little.
        ("Gemma 3n E2B", None),
        ("Nemotron-3-Nano-77B", None),
        ("Llama-3-45B", None),
        ("Qwen3.5 4bit mlx-lm", None),
        ("GPT-176B (BLOOM sizing)", None),
        ("llama3_70b truncated to 12 layers", None),
        ("Zebra-9B", None),
        ("", None),
    ],
)
def test_models(text: str, id: str | None) -> None:
    assert model_of(text) == id


def test_a_size_from_another_column_completes_a_name() -> None:
    assert model_of("Qwen3.5 4bit mlx-lm", 122) == "qwen3.5-122b-a10b"


@pytest.mark.parametrize(
    ("text", "id"),
    [
        ("NVIDIA H100 80GB HBM3", "h100-sxm"),
        ("H100 80GB PCIe Gen5", "h100-pcie"),
        ("NVIDIA H200-NVL-141GB", "h200-nvl"),
        ("A100-40GB", "a100-sxm-40gb"),
        ("A100", "a100"),
        ("NVIDIA A100-SXM4-80GB", "a100-sxm-80gb"),
        ("RTX4090", "rtx-4090"),
        ("4070 Ti Super", "rtx-4070-ti-super"),
        ("7900 XTX", "rx-7900-xtx"),
        ("RTX6000Ada", "rtx-6000-ada"),
        ("A5000 24GB", "rtx-a5000"),
        ("NVIDIA Blackwell Ultra GPU (B300-SXM-270GB)", "b300-sxm"),
        ("Apple M1 Ultra (48 GPU Core) 64GB", "m1-ultra-48c"),
        ("Apple M4 Max | 128 GB RAM | 40-core GPU", "m4-max"),
        ("Framework Mainboard (128GB)", "ryzen-ai-max-395"),
        ("Intel(R) Gaudi(R) 2 AI Accelerator", "gaudi-2"),
        ("TPU-trillium", "tpu-v6e"),
        ("Pi 500+ - 16GB", "raspberry-pi-5"),
        ("CPU i9 14900", "core-i9-14900k"),
        ("CPU Apple M2 Max (CPU cores)", "m2-max-cpu"),
        ("Nvidia Spark", "dgx-spark"),
        ("Asus GX10 GB10", "dgx-spark"),
        ("Orion O6", "cix-p1"),
        ("AMD RX 580 8GB", "rx-580"),
        ("Arc B580", "arc-b580"),
        ("W7900", "radeon-pro-w7900"),
        ("3 hosts x 4 A5000 24GB + CPU experts", "rtx-a5000"),
        # A phone's, a laptop's: none of the cards.
        ("RTX 3060 Laptop GPU", None),
        ("HiFive Premier P550 (4-core RISC-V)", None),
        ("AMD RX 6400", None),
        ("", None),
    ],
)
def test_accelerators(text: str, id: str | None) -> None:
    assert accelerator_of(text) == id


def test_several_cards_come_with_their_numbers() -> None:
    text = "14 volunteers: 2x3060 4x2080Ti 2x3090 2xA4000 4xA5000; 4 behind firewalls"
    assert accelerators_of(text) == [
        (2, "rtx-3060"),
        (4, "rtx-2080-ti"),
        (2, "rtx-3090"),
        (2, "rtx-a4000"),
        (4, "rtx-a5000"),
    ]
    assert accelerators_of("RTX 3090 (x4)") == [(4, "rtx-3090")]


@pytest.mark.parametrize(
    ("text", "kind", "id"),
    [
        ("vllm 0.25.0", "serving", "vllm"),
        ("vllm-mlx", "serving", "mlx"),
        ("llama.cpp ROCm,RPC", "serving", "llama.cpp"),
        ("ik_llama.cpp (Dec 2024)", "serving", "ik_llama.cpp"),
        ("trtllm", "serving", "tensorrt-llm"),
        ("Deepspeed-MII", "serving", "deepspeed-inference"),
        ("deepspeed", "serving", "deepspeed-inference"),
        ("deepspeed", "training", "deepspeed"),
        ("Megatron-Bridge/Megatron-Core 26.02", "training", "nemo"),
        ("Megatron+DeepSpeed (gpt-neox)", "training", "gpt-neox"),
        ("DeepSeek in-house", "serving", None),
    ],
)
def test_engines(text: str, kind: str, id: str | None) -> None:
    assert engine_of(text, kind) == id


def test_every_id_is_its_own_name() -> None:
    assert all(model_of(id) == id for id in catalog.models())
    assert all(accelerator_of(id) == id for id in catalog.accelerators())
    assert all(engine_of(id, row.kind) == id for id, row in catalog.engines().items())
