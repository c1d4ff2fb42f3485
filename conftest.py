"""Doctests print NumPy scalars as plain numbers."""

import numpy as np
import pytest


@pytest.fixture(autouse=True)
def _plain_numpy_scalars() -> None:
    np.set_printoptions(legacy="1.25")
