"""What is asked of a cluster."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal, get_args

from farthing.errors import InvalidInput

LoraTargets = Literal["all", "attention"]
Optimizer = Literal["adam", "adam-8bit", "adam-bf16", "sgd", "adafactor", "muon"]


def _at_least(owner: str, low: float, *, whole: bool, **values: Any) -> None:
    for field, value in values.items():
        kinds = (int,) if whole else (int, float)
        if isinstance(value, bool) or not isinstance(value, kinds):
            what = "whole number" if whole else "number"
            raise InvalidInput(f"{owner}: {field} must be a {what}, not {value!r}")
        if not (math.isfinite(value) and value >= low):
            raise InvalidInput(f"{owner}: {field} must be at least {low:g}, not {value:g}")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingWorkload:
    """A training run.

    Attributes
    ----------
    sequence_tokens
        Tokens of one sequence.
    global_batch_size
        Sequences of one optimizer step.
    training_tokens
        Tokens of the whole run; 0 asks for one step only.
    optimizer
        ``adam`` keeps 12 bytes a parameter in mixed precision.
    lora_rank
        Train only low-rank adapters of this rank; 0 trains all parameters.
    lora_targets
        The linear layers that adapters stand beside: ``all``, or those of ``attention``.
    memory_tokens
        Tokens of the segment before that each sequence also attends to (Transformer-XL).
    predictors
        Layers that learn to predict tokens further ahead, each with a product with the LM head of its own.
    """

    sequence_tokens: int
    global_batch_size: int
    training_tokens: float = 0.0
    optimizer: Optimizer = "adam"
    lora_rank: int = 0
    lora_targets: LoraTargets = "all"
    memory_tokens: int = 0
    predictors: int = 0

    def __post_init__(self) -> None:
        _at_least(
            "training",
            1,
            whole=True,
            sequence_tokens=self.sequence_tokens,
            global_batch_size=self.global_batch_size,
        )
        _at_least("training", 0, whole=False, training_tokens=self.training_tokens)
        _at_least("training", 0, whole=True, lora_rank=self.lora_rank, memory_tokens=self.memory_tokens)
        _at_least("training", 0, whole=True, predictors=self.predictors)
        if self.lora_targets not in get_args(LoraTargets):
            raise InvalidInput(
                f"training: lora_targets must be one of {', '.join(get_args(LoraTargets))}, not "
                f"{self.lora_targets!r}"
            )
        if self.optimizer not in get_args(Optimizer):
            raise InvalidInput(
                f"unknown optimizer {self.optimizer!r}; known: {', '.join(get_args(Optimizer))}"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class InferenceWorkload:
    """A serving load at one moment.

    Attributes
    ----------
    batch_size
        Sequences decoded together, over the whole cluster.
    prompt_tokens, output_tokens
        Of one request.
    context_tokens
        Tokens in the KV cache of a sequence at the step that is timed; by default the mean over the output,
        ``prompt + output / 2``.
    prefix_share
        Share of the prompt whose keys and values are cached already.
    routing_spread
        Unevenness of the experts' popularity among the tokens of a pass, their variance over their squared
        mean: trained routers even it out over a whole corpus, not over what a few users ask for at a time.
    draft_tokens, acceptance_rate, draft_cost_share
        Speculative decoding: tokens proposed a step (0: none), the chance that each is accepted, and the
        time of a draft step as a share of the target model's.
    """

    batch_size: int = 1
    prompt_tokens: int = 1024
    output_tokens: int = 256
    context_tokens: int = 0
    prefix_share: float = 0.0
    routing_spread: float = 0.5
    draft_tokens: int = 0
    acceptance_rate: float = 0.7
    draft_cost_share: float = 0.05

    def __post_init__(self) -> None:
        _at_least("inference", 1, whole=True, batch_size=self.batch_size, prompt_tokens=self.prompt_tokens)
        _at_least(
            "inference", 0, whole=True, output_tokens=self.output_tokens, context_tokens=self.context_tokens
        )
        _at_least("inference", 0, whole=True, draft_tokens=self.draft_tokens)
        for share in ("draft_cost_share", "prefix_share", "acceptance_rate", "routing_spread"):
            _at_least("inference", 0, whole=False, **{share: getattr(self, share)})
        if not 0 <= self.prefix_share < 1:
            raise InvalidInput(f"inference: prefix_share must be in [0, 1), not {self.prefix_share:g}")
        if not 0 <= self.acceptance_rate <= 1:
            raise InvalidInput(f"inference: acceptance_rate must be in 0..1, not {self.acceptance_rate:g}")

    @property
    def decode_context_tokens(self) -> float:
        """Tokens of context at the decode step that is timed."""
        return float(self.context_tokens or self.prompt_tokens + self.output_tokens / 2)

    @property
    def longest_context_tokens(self) -> int:
        """Tokens that the KV cache must hold for each sequence."""
        return max(self.context_tokens, self.prompt_tokens + self.output_tokens)
