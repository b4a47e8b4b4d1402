"""Cross-entropy of stacked models, and its gradient, without autograd."""

import torch
from torch import Tensor

from zoo_pipeline.training.layers.scratch import Scratch


def cross_entropy_gradient(logits: Tensor, labels: Tensor, scratch: Scratch) -> Tensor:
    """Gradient of every model's mean cross-entropy with respect to its logits.

    Args:
        logits: float32[models, classes, images]; overwritten.
        labels: int64[models, images].
        scratch: memory for sums.

    Returns:
        float32[models, classes, images]: (softmax − one-hot) / images.
    """
    models, _, images = logits.shape
    column = scratch.get("loss.column", models, 1, images)
    torch.amax(logits, 1, keepdim=True, out=column)
    logits.sub_(column).exp_()
    torch.sum(logits, 1, keepdim=True, out=column)
    logits.div_(column.mul_(images))
    minus = scratch.get("loss.minus", models, 1, images).fill_(-1.0 / images)
    return logits.scatter_add_(1, labels[:, None, :], minus)


def cross_entropy(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Summed cross-entropy and number of right answers of every model.

    Args:
        logits: float32[models, classes, images]; overwritten.
        labels: int64[models, images].

    Returns:
        float64[models] and int64[models].
    """
    logits.sub_(logits.amax(1, keepdim=True))
    # The first of the largest is the answer, as with argmax, which is slow along this dimension.
    rank = torch.arange(logits.shape[1], 0, -1, dtype=logits.dtype, device=logits.device)
    answer = (logits == 0).mul(rank[:, None]).amax(1)
    right = (answer == rank[labels]).sum(1)
    at_label = logits.gather(1, labels[:, None, :])[:, 0]
    losses = logits.exp_().sum(1).log_().sub_(at_label)
    return losses.sum(1, dtype=torch.float64), right
