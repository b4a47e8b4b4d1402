"""Every side trains; that all reach the same accuracy is tested where they run against each other."""

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.opponents.sequential import SequentialTrainer
from benchmarks.ours import OurTrainer, StoredTrainer, UnstoredTrainer
from benchmarks.workers import Workers
from benchmarks.works import Synthetic, chosen_work, works
from zoo_pipeline.data import Dataset
from zoo_pipeline.hyperparameters import Hyperparameters

DIGITS = replace(chosen_work("digits", 6, 6), hyperparameters=Hyperparameters("adam", 5e-3, 64, 6))
CNN = replace(
    works()["cnn64"], models=1, hyperparameters=Hyperparameters("adam", 5e-3, 30, 4), data=Synthetic(640, 300, 0.5)
)


def test_two_workers_train_all_models_between_them_and_a_repeat_trains_them_anew():
    with Workers("ours", DIGITS, DIGITS.dataset(), 6, 2, "cpu") as workers:
        first, second = workers.train(), workers.train()
    together = OurTrainer(DIGITS, DIGITS.dataset(), 6, "cpu").train(range(6), 6).test_accuracy[:, -1]
    assert first.test_accuracy == pytest.approx(together, abs=4e-3)  # stacks of other sizes: equal within rounding
    assert np.array_equal(first.test_accuracy, second.test_accuracy)
    assert together.mean() == pytest.approx(0.944, abs=0.015)  # of 40 seeds, which deviate by 0.009


def test_cnns_learn_with_torch():
    for trainer in (OurTrainer(CNN, CNN.dataset(), 1, "cpu"), SequentialTrainer(CNN, CNN.dataset(), "cpu")):
        assert trainer.train([0], 4).test_accuracy[0, -1] > 0.9


@pytest.mark.long
def test_cnns_learn_with_jax():
    pytest.importorskip("jax")
    with Workers("jax", CNN, CNN.dataset(), 1, 1, "cpu") as workers:
        assert workers.train().test_accuracy[0] > 0.9


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


def test_groups_written_or_not_train_like_one_group():
    work = chosen_work("digits", 70, 25)
    dataset: Dataset = work.dataset()
    whole = OurTrainer(work, dataset, 70, "cpu").train(range(70), 25)
    unstored = UnstoredTrainer(work, dataset, 70).train(range(70), 25)
    stored = StoredTrainer(work, dataset, 70).train(range(70), 25)
    assert np.abs(unstored.weights - whole.weights).max() < 1e-4
    assert stored.test_accuracy.shape == (70, 26)
    assert stored.test_accuracy[:, 0].mean() < 0.3
    assert stored.test_accuracy[:, -1].mean() == pytest.approx(0.944, abs=0.006)  # 70 seeds, which deviate by 0.010
    assert stored.test_loss[:, -1].mean() == pytest.approx(whole.test_loss[:, -1].mean(), rel=0.05)


def test_a_worker_that_fails_ends_the_run(capfd):
    with pytest.raises(RuntimeError, match="a worker ended before its work"):
        Workers("nobody", DIGITS, DIGITS.dataset(), 2, 1, "cpu")
    assert "side: got nobody" in capfd.readouterr().err
