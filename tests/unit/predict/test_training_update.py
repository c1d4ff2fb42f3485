"""The update of the weights."""

from farthing.predict.training_update import update_bytes_per_parameter


def test_what_an_update_moves() -> None:
    """Gradient of 4 bytes, three fp32 states in and out, a 16-bit weight out."""
    assert update_bytes_per_parameter("adam") == 4 + 2 * 12 + 2
