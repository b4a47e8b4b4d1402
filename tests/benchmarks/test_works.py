from dataclasses import replace

import numpy as np
import pytest

from benchmarks.works import Synthetic, chosen_work, cost, shares, works
from zoo_pipeline.architecture import ARCHITECTURES
from zoo_pipeline.errors import ConfigError


def test_a_digits_model_epoch_costs_what_its_matrices_say():
    forward = 2 * (64 * 16 + 16 * 10)
    first = 2 * 64 * 16
    evaluated = (1_437 + 360) * 26 / 25  # epoch 0 is evaluated, too
    assert cost(works()["digits"]).operations == pytest.approx(1_437 * (3 * forward - first) + evaluated * forward)


def test_a_cnn_model_epoch_costs_what_its_convolutions_say():
    first = 2 * 25 * 8 * 24 * 24
    forward = first + 2 * (25 * 8) * 6 * 8 * 8 + 2 * (4 * 6) * 4 * 3 * 3 + 2 * 36 * 20 + 2 * 20 * 10
    expected = 8_000 * (3 * forward - first) + 10_000 * 3 / 2 * forward
    assert cost(works()["cnn64"]).operations == pytest.approx(expected)
    assert cost(works()["cnn10"]).operations == pytest.approx(expected)


def test_smaller_batches_and_adam_move_more_bytes():
    digits = works()["digits"]
    images = 1_437 * (3 * 64 + 2 * (16 + 16 + 10)) + (1_437 + 360) * 26 / 25 * 64
    adam = 23 * 1_210 * 8  # 23 steps; weight, gradient and two moments, read and written
    assert cost(digits).traffic_bytes == pytest.approx(4 * (images + adam))
    sgd = replace(digits, hyperparameters=replace(digits.hyperparameters, optimizer="sgd", batch_size=32))
    assert cost(sgd).traffic_bytes == pytest.approx(4 * (images + 45 * 1_210 * 4))


@pytest.mark.parametrize("name", works())
def test_every_work_fits_its_data(name, request, monkeypatch):
    work = works()[name]
    if isinstance(work.data, Synthetic):
        work = replace(work, data=Synthetic(40, 20, 1.0))
    elif work.data == "mnist-10k":
        monkeypatch.setenv("ZOO_DATA_DIR", str(request.getfixturevalue("mnist_dir")))
    dataset = work.dataset()
    assert dataset.train_images.shape[1:] == work.architecture.input_shape
    assert (len(dataset.train_images), len(dataset.test_images)) == work.rows
    assert dataset.train_images.dtype == np.float32
    assert set(dataset.train_labels) <= set(range(work.architecture.classes))
    if work.architecture.name in ARCHITECTURES:
        assert cost(work).operations > 0


def test_synthetic_images_tell_their_class():
    dataset = replace(works()["gpu-mlp"], data=Synthetic(2_000, 500, 9.0)).dataset()
    means = np.stack([dataset.train_images[dataset.train_labels == label].mean(axis=0) for label in range(10)])
    distances = ((dataset.test_images[:, None] - means) ** 2).sum(axis=(2, 3, 4))
    accuracy = (distances.argmin(axis=1) == dataset.test_labels).mean()
    assert 0.5 < accuracy <= 1.0


def test_shares_are_nearly_equal_and_hold_every_seed_once():
    assert shares(5, 2) == [[0, 1, 2], [3, 4]]
    assert shares(4, 1) == [[0, 1, 2, 3]]


def test_other_numbers_replace_a_works_own():
    work = chosen_work("digits", 6, 3)
    assert (work.models, work.few_models, work.hyperparameters.epochs) == (6, 6, 3)
    assert chosen_work("digits", None, None) == works()["digits"]
    with pytest.raises(ConfigError, match=r"--epochs: got 0, expected 1 or more"):
        chosen_work("digits", 6, 0)
