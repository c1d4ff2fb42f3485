"""Property tests run the same examples everywhere, so that a failure repeats."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile(
    "ci",
    derandomize=True,
    deadline=None,
    max_examples=200,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("ci")


@pytest.fixture(autouse=True)
def _no_own_constants(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The constants that ship, not those of whoever runs the tests."""
    folder = tmp_path_factory.getbasetemp() / "no-configuration"
    monkeypatch.setenv("FARTHING_CONFIG", str(folder))
    return folder
