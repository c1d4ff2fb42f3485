"""A recorded stream of requests: read once to check and measure it, then again wherever it is played."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from farthing.errors import InvalidInput
from farthing.simulate.serving.trace_file import ROWS, TraceFile
from farthing.simulate.serving.trace_layout import Layout, layout_of
from farthing.simulate.serving.trace_rows import Rows, rows
from farthing.units import format_quantity, format_seconds

SORTABLE: Final = 500_000
"""Requests that are sorted in memory where their times go back; a longer file must be in order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """A trace that was read once and found good; requests stay in the file.

    Attributes
    ----------
    file, layout
        Where the requests are, and which of its columns tell what.
    requests
        That were read a prompt and written an answer.
    dropped
        That have no tokens of a prompt or of an answer: failed ones.
    first_s
        Of the earliest request, from the first row of the file [s].
    span_s
        From the first request to the last [s].
    mean_prompt, mean_output
        Tokens.
    is_ordered
        Whether times never go back in the file; else it is sorted when it is played.
    """

    file: TraceFile
    layout: Layout
    requests: int
    dropped: int
    first_s: float
    span_s: float
    mean_prompt: float
    mean_output: float
    is_ordered: bool

    @property
    def requests_per_s(self) -> float:
        """Mean rate: gaps over the span; infinite where all come at once."""
        return (self.requests - 1) / self.span_s if self.span_s else math.inf

    @property
    def description(self) -> str:
        """What the trace is, in words."""
        when = "at one moment"
        if self.span_s:
            rate = format_quantity(self.requests_per_s, "request/s")
            when = f"over {format_seconds(self.span_s)} at {rate}"
        dropped = f"; {self.dropped:,} without tokens dropped" if self.dropped else ""
        return (
            f"{self.file.path.name} ({self.layout.title}): {self.requests:,} requests {when}, "
            f"on average {self.mean_prompt:,.0f} tokens of prompt and "
            f"{self.mean_output:,.0f} of answer{dropped}"
        )

    def rows(self) -> Iterator[Rows]:
        """The requests in order of time, some thousand at a time, times from the first request [s]."""
        found = (kept for kept, _ in _kept(self.file, self.layout))
        for some in found if self.is_ordered else _sorted(found):
            yield some._replace(arrival_s=some.arrival_s - self.first_s)


def read_trace(path: str | Path, *, columns: Mapping[str, str] | None = None, layout: str = "") -> Trace:
    """Check and measure a trace; its requests are streamed from the file when it is played.

    CSV with a line of names, or JSON lines; plain, or gzip. Layouts are recognised by names: ``azure`` (Azure
    LLM inference 2023 and 2024), ``mooncake``, ``bailian`` and ``burstgpt``. Requests without tokens are
    dropped and counted. Times that go back are sorted in files of up to 500,000 requests.

    A file may end without a newline. Where a last row of CSV is cut within its last number, nothing shows it.

    Parameters
    ----------
    path
        Of a regular file, which is read whole once, and once more by each stream.
    columns
        Names of columns (keys of JSON objects) by what they tell: ``arrival``, ``prompt``, ``output``, and
        optionally ``priority`` (whole numbers, 0 the most urgent) and ``prefix`` (of JSON: a list of chained
        ids of blocks, with the block's tokens, as in ``hash_ids:16``). Arrivals are seconds, date-times
        (UTC where they say nothing else), or in the unit that is named, as in ``timestamp:ms``.
    layout
        Name of the layout that the file must have; ``""`` to recognise it.

    Raises
    ------
    InvalidInput
        With the file, line and column, and what to do.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder, "chats.csv")
    ...     _ = file.write_text("at,in,out\\n0,100,20\\n500,300,40\\n1000,0,0\\n")
    ...     trace = read_trace(file, columns={"arrival": "at:ms", "prompt": "in", "output": "out"})
    >>> trace.requests, trace.dropped, trace.requests_per_s, trace.mean_prompt
    (2, 1, 2.0, 200.0)
    """
    file = TraceFile(Path(path).expanduser())
    which = layout_of(str(file.path), file.names, columns, layout)
    if which.prefix and not file.is_json:
        raise InvalidInput(f"{file.path}: column {which.prefix!r} holds lists, which only JSON lines can")
    requests = dropped = prompts = outputs = 0
    first_s, last_s, back = math.inf, -math.inf, -1
    for kept, gone in _kept(file, which):
        dropped += gone
        times = kept.arrival_s
        if not times.size:
            continue
        before = np.concatenate(([last_s], times[:-1]))
        if kept.row is not None and back < 0 and (times < before).any():
            back = int(kept.row[np.argmax(times < before)])
        requests += times.size
        prompts += int(kept.prompt.sum())
        outputs += int(kept.output.sum())
        first_s, last_s = min(first_s, float(times.min())), max(last_s, float(times.max()))
        if back >= 0 and requests > SORTABLE:
            raise InvalidInput(
                f"{file.path}, line {file.line(back)}, column {which.arrival!r}: times go back; "
                f"sort a trace of more than {SORTABLE:,} requests by time"
            )
    if not requests:
        what = f"of its {dropped:,} requests none has tokens" if dropped else "it has no request"
        raise InvalidInput(f"{file.path}: {what}; give a trace with at least one answered request")
    return Trace(
        file=file,
        layout=which,
        requests=requests,
        dropped=dropped,
        first_s=first_s,
        span_s=last_s - first_s,
        mean_prompt=prompts / requests,
        mean_output=outputs / requests,
        is_ordered=back < 0,
    )


def _kept(file: TraceFile, layout: Layout) -> Iterator[tuple[Rows, int]]:
    """Requests with tokens, and how many without were among them."""
    for some in rows(file, layout):
        good = (some.prompt > 0) & (some.output > 0)
        gone = int(good.size - good.sum())
        yield (some.only(good) if gone else some), gone


def _sorted(pieces: Iterator[Rows]) -> Iterator[Rows]:
    """In order of time; of equal times in the file's order."""
    everything = list(pieces)
    columns = zip(*everything, strict=True)
    arrival_s, prompt, output, priority, prefix, _ = columns
    joined = Rows(
        np.concatenate(arrival_s),
        np.concatenate(prompt),
        np.concatenate(output),
        None if priority[0] is None else np.concatenate(priority),
        None if prefix[0] is None else [ids for piece in prefix for ids in piece],
        None,
    )
    order = np.argsort(joined.arrival_s, kind="stable")
    for start in range(0, order.size, ROWS):
        yield joined.only(order[start : start + ROWS])
