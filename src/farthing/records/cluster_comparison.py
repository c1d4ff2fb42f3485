"""What clusters do with a model, side by side."""

from __future__ import annotations

from dataclasses import dataclass, field

from farthing.records.batch_point import BatchPoint
from farthing.records.estimate import InferenceEstimate


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterPlan:
    """The best plan of one cluster for a load.

    Attributes
    ----------
    cluster
        As it was named.
    estimate
        Of the best plan, or of the nearest that does not do; None where there is none at all.
    breaks
        Why it does not do; empty where it does.
    curve
        What the plan does with other batches.
    relative
        Its figures over those of the first cluster, by name; one is missing where either is unknown.
    """

    cluster: str
    estimate: InferenceEstimate | None = None
    breaks: str = ""
    curve: tuple[BatchPoint, ...] = ()
    relative: dict[str, float] = field(default_factory=dict)

    @property
    def does(self) -> bool:
        """Whether it serves the load within its limits."""
        return self.estimate is not None and not self.breaks
