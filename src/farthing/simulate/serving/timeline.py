"""What a service does over time, in a few hundred stretches however long it runs."""

from __future__ import annotations

from typing import Final

from farthing.records.serving import Moment

MOST: Final = 480
"""Stretches; where there would be more, each two become one."""


class Timeline:
    """Sums over stretches of time.

    Levels (requests waiting) are kept as changes: what a change adds to the rest of its own stretch, and by
    how much it lifts all later ones. So a wait costs the same however long it is.

    Parameters
    ----------
    width_s
        Of a stretch at the beginning [s].
    """

    __slots__ = (
        "_arrived",
        "_busy",
        "_held",
        "_level",
        "_rise",
        "_sequences",
        "_ttft",
        "_ttfts",
        "_written",
        "width_s",
    )

    def __init__(self, width_s: float = 0.05) -> None:
        self.width_s = width_s
        self._arrived = [0.0]
        self._written = [0.0]
        self._sequences = [0.0]
        self._held = [0.0]
        self._busy = [0.0]
        self._rise = [0.0]
        self._level = [0.0]
        self._ttft = [0.0]
        self._ttfts = [0.0]

    def _lists(self) -> tuple[list[float], ...]:
        return (
            self._arrived,
            self._written,
            self._sequences,
            self._held,
            self._busy,
            self._rise,
            self._level,
            self._ttft,
            self._ttfts,
        )

    def _at(self, time_s: float) -> int:
        """The stretch of a time, made where it is not there yet."""
        index = int(time_s / self.width_s)
        if index < len(self._busy):
            return index
        while index >= MOST:
            self._halve()
            index = int(time_s / self.width_s)
        missing = index + 1 - len(self._busy)
        for values in self._lists():
            values.extend([0.0] * missing)
        return index

    def _halve(self) -> None:
        for values in self._lists():
            if len(values) % 2:
                values.append(0.0)
        # What lifts the second half of a pair lifts it for its whole width.
        self._level[:] = [
            early + late + rise * self.width_s
            for early, late, rise in zip(self._level[::2], self._level[1::2], self._rise[::2], strict=True)
        ]
        for values in self._lists():
            if values is not self._level:
                values[:] = [early + late for early, late in zip(values[::2], values[1::2], strict=True)]
        self.width_s *= 2

    def arrived(self, time_s: float) -> None:
        """A request came."""
        self._arrived[self._at(time_s)] += 1

    def first_token(self, time_s: float, ttft_s: float) -> None:
        """A request has its first token."""
        index = self._at(time_s)
        self._ttft[index] += ttft_s
        self._ttfts[index] += 1
        self._written[index] += 1

    def wrote(self, time_s: float, count: int) -> None:
        """So many tokens came at once."""
        self._written[self._at(time_s)] += count

    def lifted(self, time_s: float, by: int) -> None:
        """So many requests more wait from now on, or fewer."""
        index = self._at(time_s)
        self._level[index] += by * ((index + 1) * self.width_s - time_s)
        self._rise[index] += by

    def passed(
        self, start_s: float, end_s: float, sequences: float, held: float, written: float, share: float = 1.0
    ) -> None:
        """A batch was in work from one time to another, as such a share of its replica's batches."""
        last = self._at(end_s)
        first = int(start_s / self.width_s)
        if first == last:
            busy = end_s - start_s
            self._busy[last] += busy * share
            self._sequences[last] += sequences * busy
            self._held[last] += held * busy * share
            self._written[last] += written
            return
        whole = end_s - start_s
        for index in range(first, last + 1):
            width = self.width_s
            busy = min(end_s, (index + 1) * width) - max(start_s, index * width)
            self._busy[index] += busy * share
            self._sequences[index] += sequences * busy
            self._held[index] += held * busy * share
            self._written[index] += written * busy / whole

    def moments(self, end_s: float, replicas: int, blocks: int) -> tuple[Moment, ...]:
        """The stretches until an end, of so many replicas that have so many blocks in all."""
        found = []
        level = 0.0
        self._at(end_s)
        for index in range(len(self._busy)):
            start = index * self.width_s
            width = min(self.width_s, end_s - start)
            if width <= 1e-9 * self.width_s:
                break
            waiting = level * self.width_s + self._level[index]
            level += self._rise[index]
            # Beyond the end nothing waits: what is left of a last, shorter stretch is not counted.
            waiting -= level * (self.width_s - width)
            firsts = self._ttfts[index]
            found.append(
                Moment(
                    start_s=start,
                    end_s=start + width,
                    requests_per_s=self._arrived[index] / width,
                    tokens_per_s=self._written[index] / width,
                    sequences=self._sequences[index] / width,
                    waiting=max(waiting / width, 0.0),
                    kv_share=min(self._held[index] / (width * blocks), 1.0),
                    busy_share=min(self._busy[index] / (width * replicas), 1.0),
                    ttft_s=self._ttft[index] / firsts if firsts else None,
                )
            )
        return tuple(found)
