"""Zoos with a known history: one drawn, one trained."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from sklearn.datasets import load_digits

from zoo_pipeline.models.layout import Layout


@dataclass(frozen=True)
class KnownZoo:
    weights: NDArray[np.float32]
    model_id: NDArray[np.int64]
    epoch: NDArray[np.int64]
    layout: Layout

    def shuffled(self, seed: int) -> "KnownZoo":
        rows = np.random.default_rng(seed).permutation(len(self.weights))
        return KnownZoo(self.weights[rows], self.model_id[rows], self.epoch[rows], self.layout)


def known_zoo(paths: NDArray[np.float32], layout: Layout) -> KnownZoo:
    """Lists models' paths, float32[models, checkpoints, d], as a bag."""
    models, checkpoints, d = paths.shape
    return KnownZoo(
        paths.reshape(-1, d).astype(np.float32),
        np.repeat(np.arange(models), checkpoints),
        np.tile(np.arange(checkpoints), models),
        layout,
    )


@pytest.fixture(scope="session")
def drawn_zoo() -> KnownZoo:
    """Random starts, smooth walks with shrinking steps, growing norms."""
    rng = np.random.default_rng(7)
    models, checkpoints, d = 12, 15, 80
    start = rng.standard_normal((models, 1, d))
    heading = rng.standard_normal((models, 1, d)) + start
    wobble = np.cumsum(0.1 * rng.standard_normal((models, checkpoints, d)), axis=1)
    progress = 1 - 0.8 ** np.arange(checkpoints)
    paths = start + 0.2 * progress[None, :, None] * (heading + wobble)
    return known_zoo(paths.astype(np.float32), Layout.of({"weight": (6, 10), "bias": (20,)}))


@pytest.fixture(scope="session")
def trained_zoo() -> KnownZoo:
    """Six real networks, 64-16-10, trained on the digits from their own starts in their own orders."""
    digits = load_digits()
    images = torch.tensor(digits.data / 16, dtype=torch.float32)
    classes = torch.tensor(digits.target)
    paths = []
    for seed in range(6):
        generator = torch.Generator().manual_seed(seed)
        model = torch.nn.Sequential(torch.nn.Linear(64, 16), torch.nn.Tanh(), torch.nn.Linear(16, 10))
        parameters = list(model.parameters())
        for parameter in parameters:
            bound = parameter.shape[-1] ** -0.5
            torch.nn.init.uniform_(parameter, -bound, bound, generator=generator)
        optimiser = torch.optim.Adam(parameters, lr=3e-3)
        path = [torch.nn.utils.parameters_to_vector(parameters).detach().clone()]
        for _ in range(12):
            for batch in torch.randperm(len(images), generator=generator).split(64):
                optimiser.zero_grad()
                torch.nn.functional.cross_entropy(model(images[batch]), classes[batch]).backward()
                optimiser.step()
            path.append(torch.nn.utils.parameters_to_vector(parameters).detach().clone())
        paths.append(torch.stack(path).numpy())
    return known_zoo(np.stack(paths), Layout.of({name: tuple(of.shape) for name, of in model.named_parameters()}))
