"""The front door's measurements: how those that ship came out, without predicting them again."""

from __future__ import annotations

from farthing.records.accuracy import AccuracyOverview, Outcome


def accuracy() -> AccuracyOverview:
    """How far predictions are from the measurements that ship, by group and by source.

    It is what ``make docs`` found with the constants that ship, and takes a tenth of a second: `validate`
    compares all of them again.

    Examples
    --------
    >>> found = accuracy()
    >>> found.cases > 49_000, found.predicted / found.cases > 0.95
    (True, True)
    >>> rows = {row.group: row for row in found.by_group}
    >>> rows["consumer, decode"].median_error < rows["consumer, decode"].baseline_error
    True
    """
    from farthing.evidence.outcomes import overview

    return overview()


def outcomes(*, kind: str = "", group: str = "", quantity: str = "", source: str = "") -> tuple[Outcome, ...]:
    """Measured numbers that ship, each beside its prediction or the reason why there is none.

    Parameters
    ----------
    kind
        ``training inference serving_online consumer cluster gemm attention collective``.
    group
        Row of the accuracy table.
    quantity
        The file's column or metric, e.g. ``ttft_ms``.
    source
        Who measured. Empty means any, as for the others.

    Raises
    ------
    UnknownName
        No number has such a kind, group, quantity or source.

    Examples
    --------
    >>> one = outcomes(group="training memory")[0]
    >>> one.name, one.unit, one.setup[:27]
    ('memory of a card', 'GB', 'GPT-22B, on 8 x A100-SXM-80')
    >>> one.low < one.predicted < one.high
    True
    """
    from farthing.evidence.outcomes import outcomes as shipped

    return shipped(kind=kind, group=group, quantity=quantity, source=source)
