"""Cross-entropy of stacked models, and its gradient, without autograd."""

import torch
from torch import Tensor

from zoo_pipeline.training.layers.scratch import Scratch


class CrossEntropy:
    """Mean cross-entropy of logits float32[models, classes, images]; all methods overwrite them."""

    def __init__(self, classes: int, scratch: Scratch, device: str | torch.device) -> None:
        self._scratch = scratch
        # Of equal logits the first is the answer, as with argmax, which is slow along this dimension.
        self._rank = torch.arange(classes, 0, -1, dtype=torch.float32, device=device)
        self._ranks = self._rank[:, None]
        self._minus: dict[tuple[int, int], Tensor] = {}

    def gradient(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Gradient of every model's mean loss with respect to its logits: (softmax − one-hot) / images.

        Args:
            logits: float32[models, classes, images].
            labels: int64[models, images].

        Returns:
            float32[models, classes, images], in the memory of the logits.
        """
        models, _, images = logits.shape
        torch.softmax(logits, 1, out=logits)
        return logits.mul_(1 / images).scatter_add_(1, labels.unsqueeze(1), self._share(models, images))

    def sums(self, logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Summed loss and number of right answers of every model.

        Args:
            logits: float32[models, classes, images].
            labels: int64[models, images], or int64[1, images] where all models have the same.

        Returns:
            float64[models] and int64[models].
        """
        models, classes, images = logits.shape
        best = self._scratch.get("loss.best", models, 1, images)
        torch.amax(logits, 1, keepdim=True, out=best)
        answers = self._scratch.get("loss.answers", models, classes, images)
        torch.ge(logits, best, out=answers).mul_(self._ranks)
        torch.amax(answers, 1, keepdim=True, out=best)
        right = (best[:, 0] == self._rank[labels]).sum(1)
        torch.log_softmax(logits, 1, out=logits)
        at_label = logits.gather(1, labels.expand(models, -1).unsqueeze(1))
        return -at_label.sum((1, 2), dtype=torch.float64), right

    def _share(self, models: int, images: int) -> Tensor:
        """−1 / images, as often as there are labels."""
        known = self._minus.get((models, images))
        if known is None:
            known = torch.full((models, 1, images), -1 / images, device=self._rank.device)
            self._minus[models, images] = known
        return known
