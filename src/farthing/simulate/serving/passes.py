"""How long a pass of the engine takes, from tables that a simulation can afford to look up.

A pass writes a token for each sequence that decodes, and reads parts of prompts. It takes what all its tokens
need in the layers' products, exchanges and hops, and the attention of its sequences and of its prompts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

OCTAVES: Final = 24
"""Contexts up to 2^24 tokens: beyond, times grow as in the last octave."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PassTimes:
    """Tables of one replica.

    Attributes
    ----------
    written_s
        A pass that only writes, by its sequences, without their attention [s].
    attention_base_s, attention_slope_s
        Attention of ``n`` sequences with ``c`` tokens of context in all: ``base[i][n] + slope[i][n] x c``
        [s], with ``i`` the octave of the mean context, ``int(c / n).bit_length()``.
    read_s
        A pass that reads prompts, by all its tokens, with the attention of one of them [s].
    prompt_s
        What attention takes beyond, a token of a part of a prompt: ``[i][0]`` of ``2^i`` tokens, ``[i][j]``
        after ``2^(j - 1)`` cached ones [s].
    start_s
        Attention of one sequence without context, which passes that read have counted [s].
    sequence_s
        Host time that each sequence adds to a pass that reads [s].
    pass_tokens, yielded_tokens
        That a decoding sequence puts into a pass, and that it gets out of it on average: more than one where
        tokens are drafted.
    slowest_share
        Of a pass, on the slowest pipeline stage.
    """

    written_s: Sequence[float]
    attention_base_s: Sequence[Sequence[float]]
    attention_slope_s: Sequence[Sequence[float]]
    read_s: Sequence[float]
    prompt_s: Sequence[Sequence[float]]
    start_s: float = 0.0
    sequence_s: float = 0.0
    pass_tokens: int = 1
    yielded_tokens: float = 1.0
    slowest_share: float = 1.0

    def decode_s(self, sequences: int, context: int) -> tuple[float, float]:
        """A pass that only writes, and what each further token of context adds to it [s].

        Examples
        --------
        >>> fixed_times(0.01, slope_s=1e-6).decode_s(4, 1000)
        (0.011, 1e-06)
        """
        octave = (context // sequences).bit_length()
        slope = self.attention_slope_s[octave][sequences]
        time = self.written_s[sequences] + self.attention_base_s[octave][sequences] + slope * context
        return time, slope

    def prompt_attention_s(self, new: int, cached: int) -> float:
        """Attention of a part of a prompt after what is cached of it [s].

        The time a token is linear in both between powers of two, as it is in the model but for waves of
        tiles: those move a part of some hundred tokens by up to a tenth.
        """
        # Beyond the last tabled context the time a token grows as it does there.
        i, j = new.bit_length() - 1, min(cached.bit_length(), len(self.prompt_s[0]) - 2)
        low, high = self.prompt_s[i], self.prompt_s[i + 1]
        along = new / (1 << i) - 1
        if j:
            part = cached / (1 << (j - 1)) - 1
            here = low[j] + (low[j + 1] - low[j]) * part
            there = high[j] + (high[j + 1] - high[j]) * part
        else:
            here, there = low[0], high[0]
        return new * (here + (there - here) * along)

    def mixed_s(self, sequences: int, context: int, new: int, attention_s: float) -> float:
        """A pass that reads ``new`` tokens of prompts, whose attention is given, and may write too [s]."""
        tokens = new + sequences * self.pass_tokens
        read = self.read_s
        time = read[tokens] if tokens < len(read) else read[-1] * tokens / (len(read) - 1)
        if sequences:
            octave = (context // sequences).bit_length()
            slope = self.attention_slope_s[octave][sequences]
            writing = self.attention_base_s[octave][sequences] + slope * context - self.start_s
            time += max(writing, 0.0) + self.sequence_s * sequences
        return time + attention_s


def fixed_times(step_s: float, *, slope_s: float = 0.0, sequences: int = 4096) -> PassTimes:
    """Passes that take the same time whatever they do, but for a slope over the context of the sequences [s].

    Examples
    --------
    >>> times = fixed_times(0.5)
    >>> times.mixed_s(3, 100, 1000, times.prompt_attention_s(1000, 24)), times.decode_s(1, 5)[0]
    (0.5, 0.5)
    """
    nothing = [[0.0] * (OCTAVES + 2)] * (OCTAVES + 2)
    return PassTimes(
        written_s=[step_s] * (sequences + 1),
        attention_base_s=[[0.0] * (sequences + 1)] * (OCTAVES + 2),
        attention_slope_s=[[slope_s] * (sequences + 1)] * (OCTAVES + 2),
        read_s=[step_s] * (1 << 16),
        prompt_s=nothing,
    )
