"""The engines' own parsers of command lines, where an engine is installed.

``python tests/launch/engine_parsers.py PROGRAM`` prints the list of options in ``flags/PROGRAM.csv``; the
environment of ``make check-launch`` has the engines. Megatron-LM is no package: ``MEGATRON_LM`` is a clone.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import importlib
import os
import sys
import typing
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any
from unittest import mock


class NotInstalled(Exception):
    """The engine is not there; says why."""


def load(name: str) -> ModuleType:
    """A module of an engine."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise NotInstalled(f"{name} does not import: {error}; run: make check-launch") from error


def vllm() -> argparse.ArgumentParser:
    """``vllm serve``; the machine needs no card for it."""
    platforms = load("vllm.platforms")
    interface = load("vllm.platforms.interface")
    cuda = type("Cuda", (interface.Platform,), {"device_type": "cuda", "device_name": "cuda"})
    platforms._current_platform = cuda()
    arguments = load("vllm.utils.argparse_utils")
    made = load("vllm.entrypoints.common.cli_args").make_arg_parser(arguments.FlexibleArgumentParser())
    assert isinstance(made, argparse.ArgumentParser)
    return made


def sglang() -> argparse.ArgumentParser:
    """``python -m sglang.launch_server``."""
    parser = argparse.ArgumentParser()
    load("sglang.srt.server_args").ServerArgs.add_cli_args(parser)
    return parser


def megatron_arguments() -> Any:
    """The module ``megatron.training.arguments`` of a clone."""
    clone = os.environ.get("MEGATRON_LM")
    if not clone:
        raise NotInstalled("Megatron-LM is no package: set MEGATRON_LM to a clone at tag core_v0.19.0")
    if clone not in sys.path:
        sys.path.insert(0, clone)
    if not hasattr(typing, "override"):
        typing.override = load("typing_extensions").override
    return load("megatron.training.arguments")


def megatron_lm() -> argparse.ArgumentParser:
    """``pretrain_gpt.py``."""
    parser = argparse.ArgumentParser(allow_abbrev=False)
    megatron_arguments().add_megatron_arguments(parser)
    return parser


def deepspeed() -> argparse.ArgumentParser:
    """``deepspeed``: its runner makes the parser and parses at once."""
    os.environ.setdefault("DS_ACCELERATOR", "cpu")
    runner = load("deepspeed.launcher.runner")
    kept: list[argparse.ArgumentParser] = []
    with mock.patch.object(argparse.ArgumentParser, "parse_args", lambda self, **_: kept.append(self)):
        runner.parse_args([])
    return kept[0]


def torchrun() -> argparse.ArgumentParser:
    """``torchrun``."""
    parser = load("torch.distributed.run").get_args_parser()
    assert isinstance(parser, argparse.ArgumentParser)
    return parser


PARSERS: dict[str, Callable[[], argparse.ArgumentParser]] = {
    "vllm": vllm,
    "sglang": sglang,
    "megatron-lm": megatron_lm,
    "deepspeed": deepspeed,
    "torchrun": torchrun,
}


def _words(program: str, action: argparse.Action) -> list[str]:
    """Allowed words; those that vLLM checks behind its parser too."""
    if program == "vllm" and "--kv-cache-dtype" in action.option_strings:
        return list(typing.get_args(load("vllm.config.cache").CacheDType))
    if program == "vllm" and "--quantization" in action.option_strings:
        return list(load("vllm.model_executor.layers.quantization").QUANTIZATION_METHODS)
    return [getattr(word, "name", str(word)) for word in action.choices or ()]


def _kind(convert: Any) -> str:
    """What a value must be; vLLM wraps the kind of an option that may be left out."""
    name = getattr(convert, "__name__", "")
    if name == "_optional_type":
        inner = [cell.cell_contents for cell in convert.__closure__ or ()]
        name = next((getattr(thing, "__name__", "") for thing in inner if callable(thing)), "")
    return {"str": "", "loads": "json", "human_readable_int": "int"}.get(name, name)


def rows(program: str) -> list[tuple[str, str, str, str]]:
    """Spellings, number of values, kind and allowed words of each option."""
    found = []
    for action in PARSERS[program]()._actions:
        if not action.option_strings:
            continue
        kind = _kind(action.type)
        nargs = "" if action.nargs is None else str(action.nargs)
        found.append(
            (" ".join(action.option_strings), nargs, kind, " ".join(sorted(_words(program, action))))
        )
    return sorted(found)


def titan_rows() -> list[tuple[str, str, str, str]]:
    """Fields of torchtitan's configuration, as ``Class.field``."""
    import dataclasses

    classes = {
        "TrainingConfig": load("torchtitan.config").TrainingConfig,
        "ParallelismConfig": load("torchtitan.config").ParallelismConfig,
        "CompileConfig": load("torchtitan.config").CompileConfig,
        "Trainer.Config": load("torchtitan.trainer").Trainer.Config,
        "ChunkedLossWrapper.Config": load("torchtitan.components.loss").ChunkedLossWrapper.Config,
        "CrossEntropyLoss.Config": load("torchtitan.components.loss").CrossEntropyLoss.Config,
        "LoRAConverter.Config": load("torchtitan.components.lora").LoRAConverter.Config,
    }
    found = []
    for name, cls in classes.items():
        for field in dataclasses.fields(cls):
            literal = typing.get_args(field.type) if typing.get_origin(field.type) is typing.Literal else ()
            kind = getattr(field.type, "__name__", "") if not literal else ""
            found.append((f"{name}.{field.name}", "", kind, " ".join(map(str, literal))))
    return sorted(found)


def deepspeed_rows() -> list[tuple[str, str, str, str]]:
    """Keys of DeepSpeed's JSON by their path: those that its readers of the configuration know."""
    constants = load("deepspeed.runtime.constants")
    keys = {value for name, value in vars(constants).items() if name.isupper() and isinstance(value, str)}
    top = {key for key in keys if key.replace("_", "").isalnum() and key.islower()}
    zero, offload = load("deepspeed.runtime.zero.config"), load("deepspeed.runtime.zero.offload_config")
    precision = load("deepspeed.runtime.precision_config")
    experts = load("deepspeed.module_inject.auto_ep_config").AutoEPConfig()
    sections: Mapping[str, Any] = {
        "zero_optimization": zero.DeepSpeedZeroConfig.model_fields,
        "zero_optimization.offload_optimizer": offload.DeepSpeedZeroOffloadOptimizerConfig.model_fields,
        "zero_optimization.offload_param": offload.DeepSpeedZeroOffloadParamConfig.model_fields,
        "bf16": precision.DeepSpeedBF16Config.model_fields,
        "fp16": precision.DeepSpeedFP16Config.model_fields,
        "tensor_parallel": load("deepspeed.runtime.tensor_parallel.config").TPTrainingConfig.model_fields,
        "expert_parallel": vars(experts),
        "pipeline": load("deepspeed.runtime.config").get_pipeline_config({}),
        "activation_checkpointing": load(
            "deepspeed.runtime.activation_checkpointing.config"
        ).ACT_CHKPT_DEFAULT,
        "data_types": ("grad_accum_dtype", "param_dtype", "buffer_dtype"),
        "optimizer": ("type", "params", "legacy_fusion"),
    }
    found = {*top, *sections, "sequence_parallel_size"}
    found |= {f"{section}.{key}" for section, fields in sections.items() for key in fields}
    return sorted((path, "", "", "") for path in found)


EXTRA = {"torchtitan": titan_rows, "deepspeed-config": deepspeed_rows}


def main() -> None:
    """Print a list of options."""
    program = sys.argv[1]
    with contextlib.redirect_stdout(sys.stderr):
        found = EXTRA[program]() if program in EXTRA else rows(program)
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(("names", "nargs", "type", "choices"))
    writer.writerows(found)


if __name__ == "__main__":
    main()
