"""What both searches refuse to be asked: objectives, fronts and figures that there are not."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from farthing.errors import InvalidInput
from farthing.records.hardware import Cluster


def check_wishes(objective: str, front: Sequence[str], top: int, known: Sequence[str], example: str) -> None:
    """An objective, the two or three of a front (for ``example``), and how many plans are returned.

    Raises
    ------
    InvalidInput
        An objective that is not ``known``, another number of them, no whole number of plans.

    Examples
    --------
    >>> check_wishes("speed", (), 5, ("step", "usd"), "step,usd")
    Traceback (most recent call last):
    ...
    farthing.errors.InvalidInput: no objective 'speed'; there are step, usd
    """
    for name in (objective, *front):
        if name not in known:
            raise InvalidInput(f"no objective {name!r}; there are {', '.join(known)}")
    if front and not (2 <= len(set(front)) == len(front) <= 3):
        raise InvalidInput(
            f"a front is of two or three objectives, not {', '.join(front)}; write e.g. {example}"
        )
    if isinstance(top, bool) or not isinstance(top, int) or top < 1:
        raise InvalidInput(f"top must be a whole number of at least 1, not {top!r}")


def check_known(cluster: Cluster, wanted: Collection[str], *, priced: bool, money: bool) -> None:
    """Prices and power, where plans are judged by them.

    Parameters
    ----------
    cluster
        The hardware.
    wanted
        Objectives.
    priced
        A price of the cluster is known.
    money
        A limit counts money.

    Raises
    ------
    InvalidInput
        Unknown prices or power.

    Examples
    --------
    >>> from farthing.catalog.cluster import parse_cluster
    >>> check_known(parse_cluster("1x8:h100-sxm"), {"usd", "energy"}, priced=True, money=False)
    """
    if not priced and ("usd" in wanted or money):
        raise InvalidInput(
            f"no price of {cluster.name} is known: state usd_per_accelerator or usd_per_accelerator_hour"
        )
    unknown = [group.accelerator.name for group in cluster.groups if not group.accelerator.tdp_w]
    if "energy" in wanted and unknown:
        raise InvalidInput(f"the power of {', '.join(unknown)} is unknown, so that no plan needs the least")
