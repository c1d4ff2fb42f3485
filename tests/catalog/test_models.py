"""The catalogue of models: ids, sources, and parameter counts against what publishers print."""

from __future__ import annotations

import re
import time

import pytest

from farthing.catalog import models
from farthing.catalog.load import read_table
from farthing.predict.parameters import active_parameters, total_parameters
from farthing.records.model import Model

MEASURED = """
bert-base bert-large bloom-176b bloom-7b1 codellama-34b decilm-7b deepseek-v3 deepseek-v4-flash
falcon-180b gemma-3-12b gemma-3-27b gemma-3-4b gemma-4-12b gemma-4-26b-a4b gemma-4-31b glm-4.5-air
glm-4.6 glm-4.7-flash glm-5 gpt-2-124m gpt-20b gpt-3-1.3b gpt-3-175b gpt-3-350m gpt-3-6.7b gpt-89b
gpt-j-6b gpt-neox-20b gpt-oss-120b gpt-oss-20b kimi-k2 kimi-k2.5 llama-13b llama-2-13b llama-2-70b
llama-2-7b llama-3-70b llama-3-8b llama-3.1-405b llama-3.1-70b llama-3.1-8b llama-3.2-1b
llama-3.2-3b llama-3.3-70b llama-30b llama-4-maverick-17b-128e llama-4-scout-17b-16e llama-65b
llama-7b minimax-m2.5 mistral-7b mistral-small-3.1-24b mixtral-8x22b mixtral-8x7b mpt-125m mpt-13b
mpt-1b mpt-30b mpt-350m mpt-3b mpt-70b mpt-760m mpt-7b mt-nlg-530b nemotron-4-340b opt-175b opt-6.7b
palm-540b qwen-1.8b qwen-14b qwen-72b qwen-7b qwen1.5-7b qwen2-0.5b qwen2-1.5b qwen2-57b-a14b
qwen2-72b qwen2-7b qwen2.5-0.5b qwen2.5-1.5b qwen2.5-14b qwen2.5-32b qwen2.5-3b qwen2.5-72b
qwen2.5-7b qwen3-0.6b qwen3-1.7b qwen3-14b qwen3-235b-a22b qwen3-30b-a3b qwen3-32b qwen3-4b qwen3-8b
qwen3-coder-480b-a35b qwen3-next-80b-a3b qwen3.5-122b-a10b qwen3.5-27b qwen3.5-397b-a17b qwen3.6-27b
qwen3.6-35b-a3b tinyllama-1.1b transformer-xl-base transformer-xl-large
""".split()  # noqa: SIM905
"""Models that published measurements name."""

PUBLISHED = {
    "baichuan-7b": 7_000_559_616,
    "baichuan2-13b": 13_896_668_160,
    "baichuan2-7b": 7_505_973_248,
    "bert-base": 109_482_240,
    "bert-large": 335_141_888,
    "bloom-176b": 176_247_271_424,
    "bloom-1b7": 1_722_408_960,
    "bloom-3b": 3_002_557_440,
    "bloom-560m": 559_214_592,
    "bloom-7b1": 7_069_016_064,
    "chatglm2-6b": 6_243_584_000,
    "chatglm3-6b": 6_243_584_000,
    "codellama-13b": 13_016_028_160,
    "codellama-34b": 33_743_970_304,
    "codellama-70b": 68_976_910_336,
    "codellama-7b": 6_738_546_688,
    "codestral-22b": 22_247_282_688,
    "command-a": 111_057_580_032,
    "command-r": 34_980_831_232,
    "command-r-plus": 103_810_674_688,
    "dbrx": 131_596_523_520,
    "deepseek-7b": 6_910_365_696,
    "deepseek-coder-33b": 33_342_991_360,
    "deepseek-moe-16b": 16_375_728_128,
    "deepseek-r1": 671_026_419_200,
    "deepseek-v2": 235_741_434_880,
    "deepseek-v2-lite": 15_706_484_224,
    "deepseek-v3": 671_026_419_200,
    "falcon-180b": 179_522_565_120,
    "falcon-40b": 41_303_293_952,
    "falcon-7b": 6_921_720_704,
    "gemma-2-27b": 27_227_128_320,
    "gemma-2-2b": 2_614_341_888,
    "gemma-2-9b": 9_241_705_984,
    "gemma-2b": 2_506_172_416,
    "gemma-3-1b": 999_885_952,
    "gemma-7b": 8_537_680_896,
    "glm-4-32b": 32_566_081_536,
    "glm-4-9b": 9_399_951_392,
    "gpt-2-1.5b": 1_557_611_200,
    "gpt-2-124m": 124_439_808,
    "gpt-2-355m": 354_823_168,
    "gpt-2-774m": 774_030_080,
    "gpt-j-6b": 6_050_882_784,
    "gpt-neox-20b": 20_554_567_680,
    "gpt-oss-120b": 116_829_156_672,
    "gpt-oss-20b": 20_914_757_184,
    "granite-3-2b": 2_533_531_648,
    "granite-3-8b": 8_170_848_256,
    "internlm2-20b": 19_861_149_696,
    "internlm2-7b": 7_737_708_544,
    "jamba-v0.1": 51_570_323_328,
    "llama-13b": 13_015_864_320,
    "llama-2-13b": 13_015_864_320,
    "llama-2-70b": 68_976_648_192,
    "llama-2-7b": 6_738_415_616,
    "llama-3-70b": 70_553_706_496,
    "llama-3-8b": 8_030_261_248,
    "llama-3.1-405b": 405_853_388_800,
    "llama-3.1-70b": 70_553_706_496,
    "llama-3.1-8b": 8_030_261_248,
    "llama-3.2-1b": 1_235_814_400,
    "llama-3.2-3b": 3_212_749_824,
    "llama-3.3-70b": 70_553_706_496,
    "llama-30b": 32_528_943_616,
    "llama-4-maverick-17b-128e": 401_583_781_376,
    "llama-4-scout-17b-16e": 108_641_793_536,
    "llama-65b": 65_285_660_672,
    "llama-7b": 6_738_415_616,
    "ministral-8b": 8_019_808_256,
    "mistral-7b": 7_241_732_096,
    "mistral-7b-v0.3": 7_248_023_552,
    "mistral-large-123b": 122_610_069_504,
    "mistral-nemo-12b": 12_247_782_400,
    "mistral-small-22b": 22_247_282_688,
    "mistral-small-24b": 23_572_403_200,
    "mistral-small-3.1-24b": 23_572_403_200,
    "mixtral-8x22b": 140_620_634_112,
    "mixtral-8x7b": 46_702_792_704,
    "mpt-7b": 6_649_286_656,
    "nemotron-3-nano-30b-a3b": 31_577_937_344,
    "olmo-2-13b": 13_716_198_400,
    "olmo-2-1b": 1_484_916_736,
    "olmo-2-32b": 32_234_279_936,
    "olmo-2-7b": 7_298_617_344,
    "opt-1.3b": 1_315_758_080,
    "opt-125m": 125_239_296,
    "opt-13b": 12_853_473_280,
    "opt-2.7b": 2_651_596_800,
    "opt-30b": 29_974_540_288,
    "opt-350m": 331_196_416,
    "opt-6.7b": 6_658_473_984,
    "phi-1.5": 1_418_270_720,
    "phi-2": 2_779_683_840,
    "phi-3-medium": 13_960_238_080,
    "phi-3-mini": 3_821_079_552,
    "phi-3.5-mini": 3_821_079_552,
    "phi-3.5-moe": 41_873_153_344,
    "phi-4": 14_659_507_200,
    "phi-4-mini": 3_836_021_760,
    "pythia-1.4b": 1_414_647_808,
    "pythia-12b": 11_846_072_320,
    "pythia-160m": 162_322_944,
    "pythia-1b": 1_011_781_632,
    "pythia-2.8b": 2_775_208_960,
    "pythia-410m": 405_334_016,
    "pythia-6.9b": 6_857_302_016,
    "pythia-70m": 70_426_624,
    "qwen-1.8b": 1_836_828_672,
    "qwen-14b": 14_167_290_880,
    "qwen-72b": 72_287_920_128,
    "qwen-7b": 7_721_324_544,
    "qwen1.5-0.5b": 463_987_712,
    "qwen1.5-1.8b": 1_836_828_672,
    "qwen1.5-110b": 111_209_914_368,
    "qwen1.5-14b": 14_167_290_880,
    "qwen1.5-32b": 32_512_218_112,
    "qwen1.5-4b": 3_950_369_280,
    "qwen1.5-72b": 72_287_920_128,
    "qwen1.5-7b": 7_721_324_544,
    "qwen1.5-moe-a2.7b": 14_315_784_192,
    "qwen2-0.5b": 494_032_768,
    "qwen2-1.5b": 1_543_714_304,
    "qwen2-72b": 72_706_203_648,
    "qwen2-7b": 7_615_616_512,
    "qwen2.5-0.5b": 494_032_768,
    "qwen2.5-1.5b": 1_543_714_304,
    "qwen2.5-14b": 14_770_033_664,
    "qwen2.5-32b": 32_763_876_352,
    "qwen2.5-3b": 3_085_938_688,
    "qwen2.5-72b": 72_706_203_648,
    "qwen2.5-7b": 7_615_616_512,
    "qwen3-0.6b": 596_049_920,
    "qwen3-1.7b": 1_720_574_976,
    "qwen3-14b": 14_768_307_200,
    "qwen3-235b-a22b": 235_093_634_560,
    "qwen3-30b-a3b": 30_532_122_624,
    "qwen3-32b": 32_762_123_264,
    "qwen3-4b": 4_022_468_096,
    "qwen3-8b": 8_190_735_360,
    "qwen3-coder-480b-a35b": 480_154_875_392,
    "smollm2-1.7b": 1_711_376_384,
    "smollm2-135m": 134_515_008,
    "smollm2-360m": 361_821_120,
    "smollm3-3b": 3_075_098_624,
    "stablelm-2-1.6b": 1_644_515_328,
    "stablelm-3b": 2_795_443_200,
    "starcoder-15b": 15_517_456_384,
    "starcoder2-15b": 15_957_889_024,
    "starcoder2-3b": 3_030_371_328,
    "starcoder2-7b": 7_173_923_840,
    "tinyllama-1.1b": 1_100_048_384,
    "yi-34b": 34_388_917_248,
    "yi-6b": 6_061_035_520,
    "yi-9b": 8_829_407_232,
}
"""Parameters on the model card or in the index of the weights, on huggingface.co under the row's name."""

PAPERS = {
    "gpt-3-125m": 125e6,  # Brown et al. 2020, table 2.1
    "gpt-3-760m": 760e6,
    "gpt-3-6.7b": 6.7e9,
    "gpt-22b": 22e9,  # Korthikanti et al. 2022, table 3
    "gpt-3-175b": 175e9,
    "mt-nlg-530b": 530e9,
    "gpt-1t": 1e12,
    "gpt-7.5b": 7.5e9,  # Narayanan et al. 2021, table 1
    "gpt-18.4b": 18.4e9,
    "gpt-39.1b": 39.1e9,
    "gpt-76.1b": 76.1e9,
    "gpt-145.6b": 145.6e9,
    "gpt-310.1b": 310.1e9,
    "palm-8b": 8.63e9,  # Chowdhery et al. 2022, table 1
    "palm-62b": 62.5e9,
    "palm-540b": 540.35e9,
    "gopher-280b": 280e9,  # Rae et al. 2021, table 1
    "chinchilla-70b": 70e9,  # Hoffmann et al. 2022
    "opt-66b": 66e9,  # Zhang et al. 2022, table 1
    "opt-175b": 175e9,
    "nemotron-4-340b": 341e9,  # NVIDIA 2024
    "grok-1": 314e9,
    "arctic": 480e9,
    "minimax-text-01": 456e9,
}

ACTIVE = {
    "mixtral-8x7b": 12.9e9,
    "mixtral-8x22b": 39e9,
    "deepseek-v3": 37e9,
    "deepseek-v2": 21e9,
    "qwen3-235b-a22b": 22e9,
    "qwen3-30b-a3b": 3.3e9,
    "qwen2-57b-a14b": 14e9,
    "qwen3.5-397b-a17b": 17e9,
    "dbrx": 36e9,
    "jamba-v0.1": 12e9,
    "jamba-1.5-large": 94e9,
    "llama-4-scout-17b-16e": 17e9,
    "llama-4-maverick-17b-128e": 17e9,
    "nemotron-3-nano-30b-a3b": 3.6e9,
    "kimi-k2": 32e9,
    "arctic": 17e9,
}


def test_there_are_many_models() -> None:
    assert len(models()) >= 200


def test_every_measured_model_is_in_the_catalogue() -> None:
    assert len(MEASURED) > 100
    assert [id for id in MEASURED if id not in models()] == []


def test_ids_are_lower_case_with_dashes_and_every_row_has_a_source_and_a_name() -> None:
    for id, model in models().items():
        assert re.fullmatch(r"[a-z0-9]+([.-][a-z0-9]+)*", id), id
        assert len(model.source) > 10, id
        assert model.name, id
        assert model.family, id


def test_publishers_names_are_unique() -> None:
    names = [model.name.lower() for model in models().values()]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("id", PUBLISHED)
def test_parameters_equal_the_published_count_within_one_percent(id: str) -> None:
    assert total_parameters(models()[id]) == pytest.approx(PUBLISHED[id], rel=0.01)
    assert models()[id].published_parameters == PUBLISHED[id]


@pytest.mark.parametrize("id", PAPERS)
def test_parameters_equal_the_papers_within_one_percent(id: str) -> None:
    assert total_parameters(models()[id]) == pytest.approx(PAPERS[id], rel=0.01)


@pytest.mark.parametrize("id", ACTIVE)
def test_active_parameters_are_near_the_published_figure(id: str) -> None:
    # Publishers differ in whether embeddings and shared parts count.
    assert active_parameters(models()[id]) == pytest.approx(ACTIVE[id], rel=0.05)


def test_at_least_two_hundred_models_match_their_published_count() -> None:
    matching = [
        id
        for id, model in models().items()
        if model.published_parameters and abs(total_parameters(model) / model.published_parameters - 1) < 0.01
    ]
    assert len(matching) >= 200


def test_no_model_is_far_from_its_published_count() -> None:
    for id, model in models().items():
        if model.published_parameters:
            assert total_parameters(model) == pytest.approx(model.published_parameters, rel=0.03), id


def test_sizes_are_sane() -> None:
    for id, model in models().items():
        assert 1 <= model.layers <= 200, id
        assert model.hidden % 64 == 0, id
        assert 16_000 <= model.vocab <= 300_000, id
        assert 128 <= model.max_context <= 10_485_760, id
        assert active_parameters(model) <= total_parameters(model), id


def test_the_catalogue_loads_fast() -> None:
    seconds = []
    for _ in range(5):
        start = time.perf_counter()
        read_table("models.csv", Model)
        seconds.append(time.perf_counter() - start)
    assert min(seconds) < 0.03
