"""How finely tensor parallelism may cut before its links, and not its arithmetic, set the pace.

Work and traffic are those of one token in one region between two exchanges: the projections of one head as in
the article, or a whole layer.
"""

from __future__ import annotations

from farthing.predict.trace import Number, formula


@formula(reference="li-2023-article", name="work per byte", unit="FLOP/byte")
def work_per_byte(work_flop: Number, message_bytes: Number, tp: Number) -> Number:
    """Work that a card does for each byte that it exchanges: ``work / tp / message``.

    Parameters
    ----------
    work_flop
        Of the uncut region [FLOP], scalar or column.
    message_bytes
        That each card sends, however finely the region is cut [byte], scalar or column.
    tp
        Tensor parallel size, scalar or column.

    Returns
    -------
    Number
        [FLOP/byte], scalar or column.

    References
    ----------
    li-2023-article

    Examples
    --------
    Queries, keys and values of LLaMA-2 70B, one of 64 heads a card:

    >>> work_per_byte(2 * 3 * 8192**2, 2 * 8192, 64)
    384.0
    """
    return work_flop / tp / message_bytes


@formula(reference="li-2023-article", name="bandwidth needed")
def needed_bytes_per_s(flop_per_s: Number, work_per_byte: Number) -> Number:
    """Link rate that keeps a card busy: ``rate of work / work per byte``.

    Parameters
    ----------
    flop_per_s
        That the card reaches [FLOP/s], scalar or column.
    work_per_byte
        [FLOP/byte], scalar or column.

    Returns
    -------
    Number
        One way [byte/s], scalar or column.

    References
    ----------
    li-2023-article

    Examples
    --------
    >>> round(needed_bytes_per_s(330e12, 384) / 1e9)
    859
    """
    return flop_per_s / work_per_byte


@formula(reference="li-2023-article", name="largest busy tp", unit="")
def largest_busy_tp(
    work_flop: Number, message_bytes: Number, *, flop_per_s: Number, link_bytes_per_s: Number
) -> Number:
    """Tensor parallel size at which exchanging takes as long as computing.

    ``(work / message) / (rate of work / link rate)``; with more cards the links set the pace.

    Parameters
    ----------
    work_flop, message_bytes
        As in `work_per_byte` [FLOP], [byte], scalar or column.
    flop_per_s
        That a card reaches [FLOP/s], scalar or column.
    link_bytes_per_s
        That a card reaches to the others, one way [byte/s], scalar or column.

    Returns
    -------
    Number
        Cards, a fraction; below 1 no cut at all pays, scalar or column.

    References
    ----------
    li-2023-article

    Examples
    --------
    >>> round(largest_busy_tp(6 * 8192**2, 2 * 8192, flop_per_s=330e12, link_bytes_per_s=32e9), 2)
    2.38
    """
    return work_flop / message_bytes / (flop_per_s / link_bytes_per_s)
