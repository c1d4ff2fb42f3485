"""What a shape says without any hardware."""

from __future__ import annotations

from farthing.predict.kv_cache import kept_tokens, kv_bytes_per_token, state_bytes
from farthing.predict.parameters import active_parameters, layer_parameters, total_parameters
from farthing.predict.stages import layer_kinds
from farthing.predict.work import layer_flop_per_token
from farthing.records.model import Model
from farthing.records.summary import LayerGroup, ModelSummary


def model_summary(model: Model) -> ModelSummary:
    """Size, cache and work of a model.

    Examples
    --------
    >>> from farthing.catalog import model
    >>> summary = model_summary(model("llama-2-70b"))
    >>> summary.parameters, summary.kv_bytes_per_token / 1024
    (68976648192, 320.0)
    """
    groups = []
    cache = state = token = work = 0.0
    for kind in layer_kinds(model):
        count = model.layer_kinds.count(kind)
        each = float(kv_bytes_per_token(model, kind, bytes_per_element=2.0, tp=1))
        token += count * each
        cache += count * each * float(kept_tokens(model, kind, model.max_context))
        state += count * float(state_bytes(model, kind))
        work += count * float(layer_flop_per_token(model, kind, 0))
        groups.append(
            LayerGroup(
                count=count,
                mixer=kind.mixer,
                feed_forward=kind.feed_forward,
                parameters=int(layer_parameters(model, kind).total),
                kv_bytes_per_token=each,
            )
        )
    return ModelSummary(
        model=model,
        parameters=int(total_parameters(model)),
        active_parameters=int(active_parameters(model)),
        kv_bytes_per_token=token,
        kv_cache_bytes=cache,
        state_bytes=state,
        forward_flop_per_token=work + 2.0 * model.vocab * model.hidden,
        layer_groups=tuple(groups),
    )
