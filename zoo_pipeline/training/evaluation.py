"""Loss and accuracy of stacked models on a whole split."""

import torch
from torch import Tensor

from zoo_pipeline.training.modules import Modules
from zoo_pipeline.training.network import Network

# Numbers in the widest activation of all models together: what stays in a core's cache, and what fills a GPU.
_CPU_WIDTH, _GPU_WIDTH = 1 << 18, 1 << 26
_LEAST_IMAGES = 16  # at once; with fewer, a large network spends its time on reading weights


@torch.no_grad()
def evaluate(network: Network | Modules, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Mean cross-entropy and accuracy of every model.

    Args:
        network: the stacked models.
        images: float32[n, …] as in `DeviceData`, the same for all models.
        labels: int64[n], or int64[models, n] where models have labels of their own.

    Returns:
        loss and accuracy, float32[models] each on the CPU, summed in float64.
    """
    models = network.parameters.models
    width = _GPU_WIDTH if images.is_cuda else _CPU_WIDTH
    chunk = max(_LEAST_IMAGES, width // (models * network.width))
    loss = torch.zeros(models, dtype=torch.float64, device=images.device)
    right = torch.zeros(models, dtype=torch.int64, device=images.device)
    labels = labels.view(-1, len(images))
    for start in range(0, len(images), chunk):
        part = slice(start, start + chunk)
        losses, hits = network.loss.sums(network.logits(images[None, part]), labels[:, part])
        loss += losses
        right += hits
    return (loss / len(images)).float().cpu(), (right / len(images)).float().cpu()
