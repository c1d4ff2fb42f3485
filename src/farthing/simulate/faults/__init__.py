"""A training run whose parts fail: failures, checkpoints, restarts and spares."""
