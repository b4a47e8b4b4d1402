"""Loss and accuracy of stacked models on a whole split."""

import torch
from torch import Tensor
from torch.nn import functional

from zoo_pipeline.training.population import Population

CHUNK_IMAGES = 8_192  # images × models per forward pass; bounds the activations held at once


@torch.no_grad()
def evaluate(population: Population, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Mean cross-entropy and accuracy of every model.

    Args:
        population: the stacked models.
        images: float32[n, channels, height, width].
        labels: int64[n].

    Returns:
        loss and accuracy, float32[models] each on the CPU, summed in float64.
    """
    chunk = max(1, CHUNK_IMAGES // population.models)
    loss = torch.zeros(population.models, dtype=torch.float64, device=images.device)
    correct = torch.zeros_like(loss)
    for start in range(0, len(images), chunk):
        logits = population.logits(images[start : start + chunk], shared=True)
        expected = labels[start : start + chunk].expand(population.models, -1)
        losses = functional.cross_entropy(logits.transpose(1, 2), expected, reduction="none")
        loss += losses.sum(dim=1, dtype=torch.float64)
        correct += (logits.argmax(dim=2) == expected).sum(dim=1)
    return (loss / len(images)).float().cpu(), (correct / len(images)).float().cpu()
