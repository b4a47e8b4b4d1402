from dataclasses import replace

import numpy as np
import pytest
import torch

from zoo_pipeline.architecture import Architecture
from zoo_pipeline.data import Dataset
from zoo_pipeline.hyperparameters import Hyperparameters
from zoo_pipeline.models import Layout, build
from zoo_pipeline.training import Engine, GroupTraining, Member

RESNET = Architecture("resnet-18", (3, 8, 8), 4)
SGD = Hyperparameters(
    "sgd",
    0.05,
    6,
    2,
    momentum=0.9,
    weight_decay=5e-4,
    activation="relu",
    initialisation="kaiming_uniform",
    schedule="onecycle",
)


@pytest.fixture(scope="module")
def images() -> Dataset:
    generator = np.random.default_rng(0)

    def draw(rows):
        return generator.normal(size=(rows, 3, 8, 8)).astype(np.float32), generator.integers(4, size=rows)

    return Dataset("noise", 4, *draw(16), *draw(8))


def test_a_resnet_in_a_stack_trains_as_alone_and_rebuilds_exactly_with_its_buffers(images):
    members = [Member(seed, replace(SGD, learning_rate=rate)) for seed, rate in ((0, 0.05), (1, 0.02))]
    together = GroupTraining(RESNET, members, images, Engine(stack=2))
    together.advance()
    checkpoint = together.checkpoint()
    alone = GroupTraining(RESNET, members[1:], images, Engine(stack=1))
    alone.advance()
    assert np.abs(checkpoint.weights[1] - alone.checkpoint().weights[0]).max() < 1e-5

    module = build(RESNET, "relu").eval()
    state = Layout.of(RESNET.tensors).unflatten(torch.from_numpy(checkpoint.weights[1]))
    state |= Layout.of(RESNET.buffers).unflatten(torch.from_numpy(checkpoint.buffers[1]))
    missing = module.load_state_dict(state, strict=False)
    assert all(name.endswith("num_batches_tracked") for name in missing.missing_keys)
    assert missing.unexpected_keys == []
    with torch.no_grad():
        logits = module(torch.tensor(images.test_images))
    loss = torch.nn.functional.cross_entropy(logits, torch.tensor(images.test_labels))
    assert checkpoint.metrics["test_loss"][1] == pytest.approx(loss.item(), rel=1e-4)


def test_a_resnet_goes_on_from_a_saved_state_bit_by_bit(images):
    members = [Member(3, SGD)]
    straight = GroupTraining(RESNET, members, images, Engine(stack=1))
    straight.advance()
    state = straight.state()
    straight.advance()
    resumed = GroupTraining(RESNET, members, images, Engine(stack=1))
    resumed.restore(1, state)
    resumed.advance()
    first, second = straight.checkpoint(), resumed.checkpoint()
    assert np.array_equal(first.weights, second.weights)
    assert np.array_equal(first.buffers, second.buffers)
    assert first.buffers.shape == (1, 9_600)


def test_resnet_18_has_the_published_number_of_parameters():
    assert Architecture("resnet-18", (3, 32, 32), 10).dimension == 11_173_962
