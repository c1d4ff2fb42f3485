"""What a published checkpoint of a model stores in its format, beside the routed experts."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """A mixture in a 4-bit format, where more than its routed experts is stored so.

    Attributes
    ----------
    id
        Model, ``@`` and format.
    narrow_products
        Products of a layer that are stored in the format too, separated by semicolons.
    source
        Where it is from.
    """

    id: str
    narrow_products: str
    source: str

    @property
    def products(self) -> frozenset[str]:
        """Their titles."""
        return frozenset(self.narrow_products.split(";"))
