import pytest

from zoo_pipeline.architecture import Architecture
from zoo_pipeline.errors import ConfigError


@pytest.mark.parametrize(
    ("architecture", "parameters"),
    [
        (Architecture("cnn-s", (1, 28, 28), 10), 2_464),
        (Architecture("cnn-s", (3, 28, 28), 10), 2_864),
        (Architecture("cnn-l", (3, 32, 32), 10), 10_853),
        (Architecture("resnet-18", (3, 32, 32), 10), 11_173_962),
        (Architecture("resnet-18", (3, 64, 64), 200), 11_271_432),
        (Architecture("mlp", (1, 28, 28), 10, hidden=(10,)), 7_960),
        (Architecture("mlp", (1, 4, 4), 4, hidden=(5,), bias=False), 100),
        (Architecture("mlp", (1, 8, 8), 10, hidden=(16,)), 1_210),
    ],
)
def test_parameter_counts_are_the_published_ones(architecture, parameters):
    assert architecture.dimension == parameters


@pytest.mark.parametrize(("name", "smallest"), [("cnn-s", 20), ("cnn-l", 22)])
def test_a_cnn_takes_images_from_its_smallest_size_on(name, smallest):
    assert Architecture(name, (1, smallest, smallest), 10).dimension > 0
    with pytest.raises(ConfigError, match=rf"needs images of at least {smallest}×{smallest}, got 28×{smallest - 1}"):
        Architecture(name, (1, 28, smallest - 1), 10).tensors  # noqa: B018
