"""Every layer's forward and backward pass against autograd on the plain module."""

import pytest
import torch
from torch.nn import functional

from zoo_pipeline.architecture import Architecture
from zoo_pipeline.hyperparameters import ACTIVATIONS, Hyperparameters
from zoo_pipeline.models import build
from zoo_pipeline.training.device_data import arranged
from zoo_pipeline.training.layers import Convolution, CrossEntropy, Scratch
from zoo_pipeline.training.network import Network

MODELS, IMAGES = 3, 7
NETWORKS = [
    Architecture("mlp", (1, 8, 8), 10, hidden=(16,)),
    Architecture("mlp", (2, 3, 5), 7, hidden=(4, 3), bias=False),
    Architecture("mlp", (1, 4, 4), 3),
    Architecture("cnn-s", (1, 28, 28), 10),
    Architecture("cnn-s", (3, 21, 30), 5, bias=False),
    Architecture("cnn-l", (3, 32, 32), 10),
]


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


def network(architecture, **hyperparameters) -> Network:
    one = Hyperparameters("sgd", 0.1, IMAGES, 1, **hyperparameters)
    made = Network(architecture, [one] * MODELS, "cpu", Scratch("cpu"))
    made.parameters.values.normal_(0, 0.3)
    return made


def batch(architecture) -> tuple[torch.Tensor, torch.Tensor]:
    images = torch.randn(MODELS, IMAGES, *architecture.input_shape)
    images[:, :, :, : architecture.input_shape[1] // 2] = 0  # as in digits: many equal pixels for max-pools
    return images, torch.randint(architecture.classes, (MODELS, IMAGES))


def plain(made, architecture, activation, model):
    module = build(architecture, activation)
    values = made.parameters.tensors(made.parameters.values)
    module.load_state_dict({name: tensor[model] for name, tensor in values.items()})
    return module


NO_KEYS = torch.zeros(MODELS, dtype=torch.int32)
CASES = [(NETWORKS[0], activation) for activation in ACTIVATIONS] + [
    (NETWORKS[3], activation) for activation in ACTIVATIONS
]
CASES += [(architecture, "tanh") for architecture in NETWORKS]


@pytest.mark.parametrize(("architecture", "activation"), CASES, ids=str)
def test_gradients_are_those_of_autograd(architecture, activation):
    made = network(architecture, activation=activation)
    images, labels = batch(architecture)
    made.descend(torch.stack([arranged(own, architecture) for own in images]), labels, NO_KEYS)
    gradients = made.parameters.tensors(made.parameters.gradients)
    for model in range(MODELS):
        module = plain(made, architecture, activation, model)
        functional.cross_entropy(module(images[model]), labels[model]).backward()
        for name, parameter in module.named_parameters():
            largest = float(parameter.grad.abs().max())
            assert torch.allclose(gradients[name][model], parameter.grad, rtol=1e-4, atol=1e-5 * largest), name


@pytest.mark.parametrize("architecture", NETWORKS, ids=str)
def test_logits_of_shared_images_are_those_of_the_plain_modules(architecture):
    made = network(architecture)
    images = torch.randn(11, *architecture.input_shape)
    logits = made.logits(arranged(images, architecture)[None]).clone()
    for model in range(MODELS):
        expected = plain(made, architecture, "tanh", model)(images).T
        assert torch.allclose(logits[model], expected, atol=1e-4)


def test_a_smaller_batch_after_a_larger_one_reuses_memory_and_is_right():
    architecture = NETWORKS[3]
    made = network(architecture)
    images, labels = batch(architecture)
    rows = torch.stack([arranged(own, architecture) for own in images])
    made.descend(rows, labels, NO_KEYS)
    made.descend(rows[:, :2], labels[:, :2], NO_KEYS)
    module = plain(made, architecture, "tanh", 1)
    functional.cross_entropy(module(images[1, :2]), labels[1, :2]).backward()
    ours = made.parameters.tensors(made.parameters.gradients)["conv1.weight"][1]
    assert torch.allclose(ours, module.conv1.weight.grad, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("block", [1, 2, 4, 8])
def test_a_convolution_is_the_same_in_blocks_of_any_width(block):
    values = {"c.weight": torch.randn(MODELS, 6, 2, 3, 3), "c.bias": torch.randn(MODELS, 6)}
    gradients = {name: torch.zeros_like(tensor) for name, tensor in values.items()}
    layer = Convolution("c", (5, 10), values, gradients, Scratch("cpu"), pooled=False, block=block)
    images = torch.randn(MODELS, IMAGES, 2, 5, 10, requires_grad=True)
    inputs = images.detach().permute(0, 1, 3, 4, 2).reshape(MODELS, IMAGES, 5, 20)
    outputs = layer.forward(inputs).view(MODELS, IMAGES, 3, 8, 6).permute(0, 1, 4, 2, 3).clone()
    gradient = torch.randn(MODELS, IMAGES, 3, 8, 6)
    back = layer.backward(gradient.reshape(MODELS, IMAGES, 3, 48).clone()).view(MODELS, IMAGES, 5, 10, 2)
    for model in range(MODELS):
        weight = values["c.weight"][model].clone().requires_grad_()
        bias = values["c.bias"][model].clone().requires_grad_()
        expected = functional.conv2d(images[model], weight, bias)
        expected.backward(gradient[model].permute(0, 3, 1, 2))
        assert torch.allclose(outputs[model], expected, atol=1e-5)
        assert torch.allclose(gradients["c.weight"][model], weight.grad, atol=1e-4)
        assert torch.allclose(gradients["c.bias"][model], bias.grad, atol=1e-4)
        assert torch.allclose(back[model].permute(0, 3, 1, 2), images.grad[model], atol=1e-4)


def test_loss_and_accuracy_are_torchs_also_where_logits_are_equal():
    logits = torch.randn(2, 4, 50)
    logits[0, 1:3, :20] = 9.0  # two largest: the answer is the first of them
    logits[1, :, :5] = 0.0
    labels = torch.randint(4, (2, 50))
    losses, right = CrossEntropy(4, Scratch("cpu"), "cpu").sums(logits.clone(), labels)
    for model in range(2):
        expected = functional.cross_entropy(logits[model].T.double(), labels[model], reduction="sum")
        assert losses[model].item() == pytest.approx(expected.item(), rel=1e-6)
        assert right[model] == (logits[model].argmax(0) == labels[model]).sum()


def test_logits_that_are_not_numbers_are_wrong_answers():
    logits = torch.full((1, 3, 4), float("nan"))
    losses, right = CrossEntropy(3, Scratch("cpu"), "cpu").sums(logits, torch.zeros(1, 4, dtype=torch.int64))
    assert losses.isnan().all()
    assert right.tolist() == [0]
