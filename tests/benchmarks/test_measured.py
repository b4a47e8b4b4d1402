import numpy as np
import pytest

from benchmarks.machine import Rates, measure_rates
from benchmarks.measured import Side, accuracies, fractions
from benchmarks.works import cost, works


def side(seconds, values) -> Side:
    return Side(len(values), 10, 2, seconds, np.array(values, dtype=np.float32), {})


def test_the_fastest_repeat_counts():
    assert side([2.0, 0.5, 1.0], [0.9, 0.8]).model_epochs_per_s == 40


def test_accuracies_have_their_error_and_their_distance_from_ours():
    found = accuracies({"ours": side([1], [0.90, 0.92]), "jax": side([1], [0.94, 0.96]), "tune": side([1], [0.9])})
    assert found["ours"] == {"mean": 0.91, "standard_error": 0.01, "errors_from_ours": 0.0}
    assert found["jax"]["errors_from_ours"] == pytest.approx(0.04 / np.hypot(0.01, 0.01), abs=0.01)
    assert found["tune"] == {"mean": 0.9, "standard_error": None, "errors_from_ours": None}


def test_the_peak_is_that_of_all_workers_together():
    digits = works()["digits"]
    found = fractions(digits, 1_000.0, [Rates(4e10), Rates(6e10)])
    assert found["peak_fraction"] == pytest.approx(1_000 * cost(digits).operations / 1e11, abs=1e-4)
    assert found["peak_fraction_tf32"] is found["copy_fraction"] is None


def test_a_gpu_has_two_matrix_rates_and_a_bandwidth():
    digits = works()["digits"]
    found = fractions(digits, 1_000.0, [Rates(1e12, 2e12, 1e11)])
    assert found["peak_fraction"] == pytest.approx(2 * found["peak_fraction_tf32"], abs=2e-4)
    assert found["copy_fraction"] == pytest.approx(1_000 * cost(digits).traffic_bytes / 1e11, abs=1e-4)


def test_a_core_multiplies_matrices():
    rates = measure_rates("cpu")
    assert 1e8 < rates.matrix_flops < 1e14
    assert rates.copy_bytes_per_s is None
