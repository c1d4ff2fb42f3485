"""The Python module that is a run of torchtitan."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from farthing.launch.titan_model import Shape

_IMPORTS = {
    "ChunkedLossWrapper": "torchtitan.components.loss",
    "CompileConfig": "torchtitan.config",
    "CrossEntropyLoss": "torchtitan.components.loss",
    "Float8LinearConverter": "torchtitan.components.quantization",
    "FullAC": "torchtitan.distributed.activation_checkpoint",
    "HuggingFaceTextDataLoader": "torchtitan.hf_datasets.text_datasets",
    "LoRAConverter": "torchtitan.components.lora",
    "MXFP8LinearConverter": "torchtitan.components.quantization",
    "NVFP4LinearConverter": "torchtitan.components.quantization",
    "ParallelismConfig": "torchtitan.config",
    "SelectiveAC": "torchtitan.distributed.activation_checkpoint",
    "Trainer": "torchtitan.trainer",
    "TrainingConfig": "torchtitan.config",
    "decoder_vocab_size": "torchtitan.models.common.config_utils",
    "default_adamw": "torchtitan.components.optimizer",
    "replace": "dataclasses",
}


def config_text(
    *,
    shape: Shape,
    assets: str,
    converters: list[str],
    loss_chunks: int,
    optimizer: str,
    training: Mapping[str, Any],
    parallelism: Mapping[str, Any],
    stages: list[int],
    recompute: str,
    overlap_tensor_parallel: bool,
) -> str:
    """The module: imports, the model where torchtitan has none like it, and ``run``.

    Parameters
    ----------
    shape
        The model.
    assets
        Folder of the tokenizer.
    converters, optimizer, recompute
        Python expressions.
    training, parallelism
        Fields of ``TrainingConfig`` and ``ParallelismConfig``.
    stages
        Layers of each virtual stage; empty without a pipeline.
    overlap_tensor_parallel
        Whether collectives run under the products of the same layer.
    """
    # Async tensor parallelism has its own kernel backend only with compilation.
    compiled = {"enable": True, "components": ["model", "loss"]}
    if overlap_tensor_parallel:
        compiled["enable_async_tensor_parallel"] = True
    loss = "CrossEntropyLoss.Config(global_vocab_size=decoder_vocab_size(model_spec))"
    if loss_chunks > 1:
        loss = f"ChunkedLossWrapper.Config(num_chunks={loss_chunks}, loss_fn={loss})"
    parallel = dict(parallelism)
    before = ""
    if stages:
        before = _PARTS.format(counts=", ".join(map(str, stages)))
        parallel["module_fqns_per_model_part"] = _Name("parts")
    fitted = f", converters=[{', '.join(converters)}]" if converters else ""
    body = f"""\
def run() -> Trainer.Config:
    model_spec = {shape.family}.model_registry("{shape.flavor}"{fitted})
{before}    return Trainer.Config(
        model_spec=model_spec,
        hf_assets_path="{assets}",
        loss={loss},
        optimizer={optimizer},
        dataloader=HuggingFaceTextDataLoader.Config(dataset="c4"),
        training={_call("TrainingConfig", training)},
        parallelism={_call("ParallelismConfig", parallel)},
        activation_checkpoint={recompute},
        compile={_call("CompileConfig", compiled)},
    )
"""
    own = f"{shape.own}\n\n" if shape.own else ""
    return f"{_imports(body, shape.family)}\n\n{own}{body}"


_PARTS = """\
    layers = (f"layers.{{number}}" for number in range(10**6))
    parts = [[next(layers) for _ in range(count)] for count in ({counts})]
    parts[0].insert(0, "tok_embeddings")
    parts[-1] += ["norm", "lm_head"]
"""


class _Name(str):
    """A name, and not a text, in Python."""

    def __repr__(self) -> str:
        return str(self)


def _call(name: str, fields: Mapping[str, Any]) -> str:
    inner = "".join(f"            {field}={_literal(value)},\n" for field, value in fields.items())
    return f"{name}(\n{inner}        )"


def _literal(value: Any) -> str:
    if isinstance(value, str) and not isinstance(value, _Name):
        return f'"{value}"'
    if isinstance(value, list):
        return f"[{', '.join(map(_literal, value))}]"
    return repr(value)


def _imports(body: str, family: str) -> str:
    used: dict[str, list[str]] = {}
    for name, module in _IMPORTS.items():
        if re.search(rf"\b{name}\b", body):
            used.setdefault(module, []).append(name)
    lines = [f"from {module} import {', '.join(names)}" for module, names in sorted(used.items())]
    return "\n".join([*lines, f"from torchtitan.models import {family}"]) + "\n"
