"""What a GPU trains is what a CPU trains, within rounding, captured or not."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from zoo_pipeline.architecture import Architecture
from zoo_pipeline.data import Dataset, load_dataset
from zoo_pipeline.hyperparameters import Hyperparameters
from zoo_pipeline.training import Engine, GroupTraining, Member, calibrate, train_group

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no GPU")

ADAM = Hyperparameters("adam", 1e-3, 64, 3)
SGD = Hyperparameters("sgd", 0.05, 16, 3, momentum=0.9, weight_decay=1e-3)
MLP = Architecture("mlp", (1, 8, 8), 10, hidden=(16,))
SMALL, RESNET = Architecture("cnn-s", (1, 20, 20), 3), Architecture("resnet-18", (3, 16, 16), 3)


def noise(shape) -> Dataset:
    """A few random images, whose last batch is smaller."""
    generator = np.random.default_rng(0)

    def draw(rows):
        return generator.normal(size=(rows, *shape)).astype(np.float32), generator.integers(3, size=rows)

    return Dataset("noise", 3, *draw(122), *draw(20))


WORKS = {
    "mlp, adam": (MLP, ADAM, load_dataset("digits")),
    "mlp, dropout": (MLP, replace(ADAM, dropout=0.3, label_noise=0.2), load_dataset("digits")),
    "mlp, rmsprop": (MLP, replace(ADAM, optimizer="rmsprop"), load_dataset("digits")),
    "cnn, sgd": (SMALL, SGD, noise((1, 20, 20))),
    "cnn, adamw": (SMALL, replace(SGD, optimizer="adamw", learning_rate=1e-3, momentum=0.0), noise((1, 20, 20))),
    "resnet": (RESNET, replace(SGD, learning_rate=1e-3, epochs=1), noise((3, 16, 16))),
}


def trained(work, device, **engine):
    architecture, how, dataset = work
    members = [Member(seed, how) for seed in range(4)]
    return train_group(architecture, members, dataset, engine=Engine(**engine), device=device)


@pytest.mark.parametrize("name", WORKS)
@pytest.mark.parametrize("capture", [False, True], ids=["as it is", "captured"])
def test_a_gpu_trains_what_a_cpu_trains(name, capture):
    expected, found = trained(WORKS[name], "cpu"), trained(WORKS[name], "cuda", stack=2, capture=capture)
    np.testing.assert_array_equal(found.weights[:, 0], expected.weights[:, 0])
    moved = np.abs(expected.weights[:, -1] - expected.weights[:, 0]).max()
    assert np.abs(found.weights - expected.weights).max() < 1e-3 * moved
    for metric in ("train_loss", "test_loss"):
        np.testing.assert_allclose(found.metrics[metric], expected.metrics[metric], rtol=1e-3)


@pytest.mark.parametrize("name", ["mlp, adam", "cnn, sgd"])
def test_a_captured_step_computes_what_the_step_itself_does(name):
    loose, captured = (trained(WORKS[name], "cuda", capture=capture) for capture in (False, True))
    np.testing.assert_array_equal(captured.weights, loose.weights)


def test_training_goes_on_from_a_saved_state_on_a_gpu():
    architecture, how, dataset = WORKS["cnn, sgd"]
    members = [Member(seed, how) for seed in range(3)]
    first, second = (
        GroupTraining(architecture, members, dataset, Engine(stack=2, capture=True), "cuda") for _ in range(2)
    )
    for _ in range(3):
        first.advance()
    second.advance()
    third = GroupTraining(architecture, members, dataset, Engine(stack=2, capture=True), "cuda")
    third.restore(1, second.state())
    third.advance()
    third.advance()
    np.testing.assert_allclose(third.weights(), first.weights(), atol=1e-6)


def test_where_memory_does_not_suffice_the_stack_is_halved():
    architecture, how, dataset = WORKS["cnn, sgd"]
    members = [Member(seed, how) for seed in range(1024)]

    def weights_and_stack():
        training = GroupTraining(architecture, members, dataset, Engine(capture=True), "cuda")
        training.advance()
        return training.weights(), training.stack

    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    expected, _ = weights_and_stack()
    needed = torch.cuda.max_memory_reserved()
    torch.cuda.empty_cache()
    kept = torch.cuda.memory_reserved()  # by CUDA's libraries
    limit = kept + 0.5 * (needed - kept)
    torch.cuda.set_per_process_memory_fraction(limit / torch.cuda.get_device_properties(0).total_memory)
    try:
        found, stack = weights_and_stack()
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert 1 < stack < 1024
    assert np.abs(found - expected).max() < 1e-5


def test_calibration_chooses_among_captured_steps_and_others():
    architecture, how, dataset = WORKS["mlp, adam"]
    engine, trials = calibrate(architecture, [Member(seed, how) for seed in range(16)], dataset, device="cuda")
    assert {trial.engine.capture for trial in trials} == {True, False}
    assert all(trial.model_steps_per_s > 0 for trial in trials)
    assert engine in [trial.engine for trial in trials]
