"""A word of the field explained."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

_KEY: Final = re.compile(r"\[([a-z0-9]+(?:-[a-z0-9]+)*-\d{4}[a-z0-9-]*)\]")


@dataclass(frozen=True, slots=True, kw_only=True)
class GlossaryEntry:
    """What a field of a record, or a word of the field, means.

    Attributes
    ----------
    name
        The field or word.
    section
        Heading that it stands under.
    meaning
        In words, with its formula and, in brackets, keys of the bibliography; code stands in backticks.
    unit
        Of its values; empty for words, counts and shares.
    vllm, megatron, torchtitan
        What others call it: ``-`` where there is no such option, and empty where nobody looked.
    """

    name: str
    section: str
    meaning: str
    unit: str = ""
    vllm: str = ""
    megatron: str = ""
    torchtitan: str = ""

    @property
    def references(self) -> tuple[str, ...]:
        """Keys of the bibliography that its meaning names.

        Examples
        --------
        >>> GlossaryEntry(name="MFU", section="Words", meaning="see `mfu` [chowdhery-2022]").references
        ('chowdhery-2022',)
        """
        return tuple(_KEY.findall(self.meaning))
