import pytest
import torch
from torch import nn

from zoo_pipeline.architecture import Architecture
from zoo_pipeline.hyperparameters import ACTIVATIONS, INITIALISATIONS
from zoo_pipeline.models import build, initialise
from zoo_pipeline.models.initialise import BIAS

NETWORKS = [
    Architecture("mlp", (1, 8, 8), 10, hidden=(16,)),
    Architecture("mlp", (1, 4, 4), 4, hidden=(5, 3), bias=False),
    Architecture("mlp", (2, 3, 5), 7),
    Architecture("cnn-s", (1, 28, 28), 10),
    Architecture("cnn-s", (3, 21, 30), 5, bias=False),
    Architecture("cnn-l", (3, 32, 32), 10),
]


@pytest.mark.parametrize("architecture", NETWORKS, ids=str)
def test_the_module_has_the_declared_tensors(architecture):
    module = build(architecture)
    assert {name: tuple(p.shape) for name, p in module.named_parameters()} == architecture.tensors
    assert list(dict(module.named_parameters())) == list(architecture.tensors)
    assert not list(module.buffers())
    assert module(torch.zeros(3, *architecture.input_shape)).shape == (3, architecture.classes)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_the_activation_is_torchs(activation):
    module = build(Architecture("mlp", (1, 2, 2), 3, hidden=(4,)), activation)
    images = torch.randn(5, 1, 2, 2)
    hidden = module.fc1(images.flatten(1))
    expected = module.fc2(getattr(nn.functional, activation)(hidden))
    assert torch.allclose(module(images), expected, atol=1e-6)


def test_cnn_s_is_convolutions_pools_and_activations_in_the_published_order():
    kinds = [type(layer).__name__ for layer in build(Architecture("cnn-s", (1, 28, 28), 10))]
    assert kinds == [
        "Conv2d", "MaxPool2d", "Tanh", "Conv2d", "MaxPool2d", "Tanh", "Conv2d", "Tanh", "Flatten",
        "Linear", "Tanh", "Linear",
    ]  # fmt: skip


def drawn(initialisation: str, seed: int = 0) -> dict[str, torch.Tensor]:
    architecture = Architecture("mlp", (1, 50, 50), 10, hidden=(200,))
    return initialise(architecture, initialisation, torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("initialisation", INITIALISATIONS)
def test_weights_follow_from_the_generator_alone(initialisation):
    torch.manual_seed(1)
    first = drawn(initialisation)
    torch.manual_seed(2)
    assert all(
        torch.equal(tensor, again) for tensor, again in zip(first.values(), drawn(initialisation).values(), strict=True)
    )
    assert not torch.equal(first["fc1.weight"], drawn(initialisation, seed=3)["fc1.weight"])


@pytest.mark.parametrize(
    ("initialisation", "mean", "standard_deviation", "largest"),
    [  # of the first layer, fan-in 2,500 and fan-out 200
        ("uniform", 0.5, (1 / 12) ** 0.5, 1.0),
        ("normal", 0.0, 1.0, 7.0),
        ("kaiming_uniform", 0.0, (2 / 2500) ** 0.5, (6 / 2500) ** 0.5),
        ("kaiming_normal", 0.0, (2 / 2500) ** 0.5, 7 * (2 / 2500) ** 0.5),
        ("xavier_uniform", 0.0, (2 / 2700) ** 0.5, (6 / 2700) ** 0.5),
        ("xavier_normal", 0.0, (2 / 2700) ** 0.5, 7 * (2 / 2700) ** 0.5),
    ],
)
def test_named_initialisations_have_their_distribution_and_small_biases(
    initialisation, mean, standard_deviation, largest
):
    weights = drawn(initialisation)
    values = weights["fc1.weight"]
    assert abs(values.mean() - mean) < 0.01 * standard_deviation + 1e-3 * abs(mean)
    assert abs(values.std() / standard_deviation - 1) < 0.01
    assert values.abs().max() <= largest
    assert (weights["fc1.bias"] == torch.tensor(BIAS)).all()


def test_the_default_is_torchs_own_for_linear_and_convolution():
    torch.manual_seed(0)
    architecture = Architecture("cnn-l", (3, 32, 32), 10)
    ours = [initialise(architecture, "default", torch.Generator().manual_seed(seed)) for seed in range(200)]
    theirs = [dict(build(architecture).named_parameters()) for _ in range(200)]
    for name in architecture.tensors:
        our, their = (torch.stack([state[name].detach() for state in states]) for states in (ours, theirs))
        assert abs(our.abs().max() / their.abs().max() - 1) < 0.02
        assert abs(our.std() / their.std() - 1) < 0.05
