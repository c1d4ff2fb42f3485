"""Power and energy: bounds of the model, the article's rows, columns, and derivations."""

import numpy as np
import pytest

from farthing.predict import energy
from farthing.predict.trace import term_of, tracing


def test_power_lies_between_idle_and_the_limit():
    compute, memory = np.meshgrid(np.linspace(0, 1, 11), np.linspace(0, 1, 11))
    power = energy.accelerator_power_w(450, compute_share=compute, memory_share=memory, idle_w=25)
    assert power.min() == power[0, 0] == 25
    assert power.max() == 450
    assert np.all(np.diff(power, axis=0) >= 0)
    assert np.all(np.diff(power, axis=1) >= 0)


def test_decode_draws_far_less_than_training():
    decode = energy.accelerator_power_w(700, compute_share=0.05, memory_share=0.85) / 700
    training = energy.accelerator_power_w(700, compute_share=0.75, memory_share=0.4) / 700
    assert 0.5 <= decode <= 0.7
    assert 0.9 <= training <= 1.0


def test_unknown_idle_power_is_a_share_of_the_limit():
    idle = energy.accelerator_power_w(
        np.array([400.0, 400.0]), compute_share=0, memory_share=0, idle_w=np.array([0, 55])
    )
    assert idle == pytest.approx([energy.IDLE_SHARE * 400, 55])


def test_weights_can_be_given():
    power = energy.accelerator_power_w(
        300, compute_share=0.5, memory_share=0.5, idle_w=100, compute_weight=0.4, memory_weight=0.2
    )
    assert power == pytest.approx(160)


def test_electricity_of_the_article():
    small = energy.cluster_power_w(400, 8, host_power_w=2000, hosts=1)
    assert small == 5200
    assert energy.electricity_usd_per_s(small, 0.1) * 3600 == pytest.approx(0.52)
    assert energy.electricity_usd_per_s(10_000, 0.1) * 3600 == pytest.approx(1)
    assert energy.cluster_power_w(0, 0, host_power_w=5000, hosts=9) == 45_000


def test_overheads_add_and_the_building_multiplies():
    power = energy.cluster_power_w(
        np.array([100.0, 200.0]), 4, host_power_w=300, hosts=2, network_power_w=50, pue=1.2
    )
    assert power == pytest.approx([1.2 * 1050, 1.2 * 1450])


def test_energy_of_a_token_and_of_a_time():
    assert energy.energy_per_token_j(5200, 13_000) * 13_000 == energy.energy_j(5200, 1)
    assert energy.electricity_usd_per_s(energy.energy_j(1000, 3600) / 3600, 0.3) == pytest.approx(0.3 / 3600)


@pytest.mark.parametrize("idle", [0, 60])
def test_derivation_has_the_value(idle):
    shares = {"compute_share": 0.1, "memory_share": 0.8, "idle_w": idle}
    with tracing():
        term = term_of(energy.accelerator_power_w(700, **shares))
    assert term.value == pytest.approx(float(energy.accelerator_power_w(700, **shares)))
    assert term.unit == "W"
    assert "tdp" in term.formula
    assert "700" in term.numbers
