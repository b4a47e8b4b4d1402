"""Every side trains the same works to the same accuracy, in processes of its own."""

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.opponents.sequential import SequentialTrainer
from benchmarks.ours import GroupTrainer, OurTrainer
from benchmarks.workers import Workers
from benchmarks.works import Synthetic, Work, chosen_work, works
from zoo_pipeline.data import Dataset
from zoo_pipeline.hyperparameters import Hyperparameters

DIGITS = replace(chosen_work("digits", 6, 6), hyperparameters=Hyperparameters("adam", 5e-3, 64, 6))
CNN = replace(
    works()["cnn64"], models=2, hyperparameters=Hyperparameters("sgd", 0.02, 64, 4, 0.9), data=Synthetic(640, 300, 0.5)
)


def accuracy(side: str, work: Work) -> np.ndarray:
    """Of all models after the last epoch, trained by two workers."""
    with Workers(side, work, work.dataset(), work.models, 2, "cpu") as workers:
        first, second = workers.train(), workers.train()
    assert first.seconds > 0
    assert np.array_equal(first.test_accuracy, second.test_accuracy)  # a repeat trains the same models anew
    return first.test_accuracy


@pytest.mark.parametrize("side", ["ours", "stored", "sequential", "jax"])
def test_mlps_learn_the_digits_alike_on_every_side(side):
    if side == "jax":
        pytest.importorskip("jax")
    found = accuracy(side, DIGITS)
    assert found.shape == (6,)
    assert found.mean() == pytest.approx(0.942, abs=0.012)  # as plain torch trains 40 seeds; a model deviates by 0.006


@pytest.mark.parametrize("side", ["ours", "sequential", "jax"])
def test_cnns_learn_alike_on_every_side(side):
    if side == "jax":
        pytest.importorskip("jax")
    assert accuracy(side, CNN).mean() > 0.9


def test_every_checkpoint_of_the_sequential_loop_is_kept_and_the_last_is_what_was_scored():
    work, dataset = DIGITS, DIGITS.dataset()
    trained = SequentialTrainer(work, dataset, "cpu").train([3], 2)
    assert trained.weights.shape == (1, 3, 1_210)
    assert np.abs(np.diff(trained.weights, axis=1)).max(axis=2).min() > 1e-3
    hidden, outputs = trained.weights[0, 2, :1_040], trained.weights[0, 2, 1_040:]
    images = dataset.test_images.reshape(-1, 64)
    values = np.tanh(images @ hidden[:1_024].reshape(16, 64).T + hidden[1_024:])
    logits = values @ outputs[:160].reshape(10, 16).T + outputs[160:]
    right = (logits.argmax(axis=1) == dataset.test_labels).mean()
    assert trained.test_accuracy[0, 2] == pytest.approx(right, abs=1e-3)


def test_groups_written_or_not_are_the_models_of_one_group():
    dataset: Dataset = DIGITS.dataset()
    whole = OurTrainer(DIGITS, dataset, "cpu").train([0, 1, 2], 2)
    for stored in (False, True):
        parts = GroupTrainer(DIGITS, dataset, stored).train([0, 1, 2], 2)
        assert np.array_equal(parts.weights, whole.weights)


def test_a_worker_that_fails_ends_the_run(capfd):
    with pytest.raises(RuntimeError, match="a worker ended before its work"):
        Workers("nobody", DIGITS, DIGITS.dataset(), 2, 1, "cpu")
    assert "side: got nobody" in capfd.readouterr().err
