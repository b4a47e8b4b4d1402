"""Convolutions as matrix products with banded matrices."""

import torch
from torch import Tensor

from zoo_pipeline.training.layers.scratch import Scratch

LEAST_COLUMNS = 64  # of the banded matrix, where the row is long enough


class Convolution:
    """Valid convolutions of stacked models, stride 1, square kernels.

    One row of outputs depends on `kernel` rows of inputs by a matrix that holds the kernel along its diagonals (a
    Toeplitz matrix). So the convolution is one matrix product per model: overlapping windows of whole rows, copied
    from memory in long runs, times that matrix. Most of the matrix is zero; blocks of a row keep that waste small, and
    the product is still several times faster on a CPU than direct convolution of so few channels. A block of one
    column is the usual unfolding.

    Inputs are float32[models, images, height, width · channels]. Outputs are [models, images, rows, columns ·
    channels], or [models, images, rows / 2, 2, blocks, 2, half block · channels] for a `MaxPool` behind it, which then
    also adds the bias; rows and columns that no pool takes are not computed.

    Attributes:
        rows: of outputs that are computed.
        columns: of outputs that are computed.
        width: floats of the larger of windows and outputs, per image and model.
    """

    def __init__(
        self,
        name: str,
        size: tuple[int, int],
        values: dict[str, Tensor],
        gradients: dict[str, Tensor],
        scratch: Scratch,
        *,
        pooled: bool,
        first: bool = False,
        block: int | None = None,
    ) -> None:
        self._name = name
        self._weight, self._weight_gradient = values[f"{name}.weight"], gradients[f"{name}.weight"]
        self._bias = None if pooled else values.get(f"{name}.bias")
        self._bias_gradient = None if pooled else gradients.get(f"{name}.bias")
        self._scratch = scratch
        self._pooled = pooled
        self._first = first  # nothing before it learns, so nobody asks for the gradient of its inputs
        self._models, self._outputs, self._channels, self._kernel, _ = self._weight.shape
        self._height, self._width = size
        step = 2 if pooled else 1
        self.rows = (self._height - self._kernel + 1) // step * step
        self.columns = (self._width - self._kernel + 1) // step * step
        self._block = block or _block(self.columns, self._outputs, step)
        self._reach = self._block + self._kernel - 1  # input columns that a block of outputs sees
        depth, width = self._kernel * self._reach * self._channels, self._block * self._outputs
        self.width = self.rows * self.columns // self._block * max(depth, width)
        # Zero but for the band, which every step writes anew.
        self._matrix = torch.zeros(self._models, depth, width, device=self._weight.device)

    def forward(self, values: Tensor) -> Tensor:
        """Outputs of a training step."""
        self._fill()
        self._windows = self._window(values)
        return self._product(self._windows, values.shape[1])

    def infer(self, values: Tensor) -> Tensor:
        """Outputs outside training."""
        self._fill()
        return self._product(self._window(values), values.shape[1])

    def backward(self, gradient: Tensor) -> Tensor:
        """Gradient float32[models, images, height, width · channels] of the inputs."""
        models, depth, width = self._matrix.shape
        rows = gradient.view(models, -1, width)
        if self._bias_gradient is not None:
            torch.sum(gradient.view(models, -1, self._outputs), 1, out=self._bias_gradient)
        product = self._scratch.get(f"{self._name}.matrix_gradient", models, depth, width)
        torch.bmm(self._windows.mT, rows, out=product)
        band = self._band(product).sum((4, 5))
        self._weight_gradient.copy_(band.permute(0, 4, 3, 1, 2))
        if self._first:
            return gradient
        windows = self._scratch.get(f"{self._name}.windows_gradient", models, rows.shape[1], depth)
        torch.bmm(rows, self._matrix.mT, out=windows)
        return self._scatter(windows)

    def _fill(self) -> None:
        """Write the kernels along the band of the matrix."""
        kernels = self._weight.permute(0, 3, 4, 2, 1)  # models, kernel row, kernel column, channel, output
        band = self._band(self._matrix)
        band.copy_(kernels[:, :, :, :, None, None, :].expand_as(band))

    def _band(self, matrix: Tensor) -> Tensor:
        """The band as [models, kernel row, kernel column, channel, pixel pair, pixel of the pair, output]."""
        _, depth, width = matrix.shape
        pair = 2 if self._pooled else 1
        in_column = self._channels * width  # a column of inputs further down the matrix
        strides = (
            depth * width,
            self._reach * in_column,
            in_column,
            width,
            pair * in_column + self._outputs,
            in_column + self._block // pair * self._outputs,
            1,
        )
        shape = (
            self._models,
            self._kernel,
            self._kernel,
            self._channels,
            self._block // pair,
            pair,
            self._outputs,
        )
        return matrix.as_strided(shape, strides)

    def _window(self, values: Tensor) -> Tensor:
        """Windows float32[models or 1, images · rows · blocks, kernel · reach · channels]."""
        models, images = values.shape[:2]
        row = self._width * self._channels
        image = self._height * row
        blocks = self.columns // self._block
        shape = (models, images, self.rows, blocks, self._kernel, self._reach * self._channels)
        strides = (images * image, image, row, self._block * self._channels, row, 1)
        result = self._scratch.get(f"{self._name}.windows", *shape)
        result.copy_(values.contiguous().as_strided(shape, strides, values.storage_offset()))
        return result.view(models, -1, shape[4] * shape[5])

    def _product(self, windows: Tensor, images: int) -> Tensor:
        models, _, width = self._matrix.shape
        result = self._scratch.get(f"{self._name}.outputs", models, windows.shape[1], width)
        torch.bmm(windows.expand(models, -1, -1), self._matrix, out=result)
        blocks = self.columns // self._block
        if self._pooled:
            return result.view(models, images, self.rows // 2, 2, blocks, 2, width // 2)
        outputs = result.view(models, images, self.rows, self.columns * self._outputs)
        if self._bias is not None:
            outputs.view(models, -1, self._outputs).add_(self._bias[:, None])
        return outputs

    def _scatter(self, windows: Tensor) -> Tensor:
        """Add the windows' gradients up where they overlap."""
        blocks = self.columns // self._block
        span = self._reach * self._channels
        apart = windows.view(self._models, -1, self.rows, blocks, self._kernel, span)
        row = self._width * self._channels
        result = self._scratch.get(f"{self._name}.inputs_gradient", self._models, apart.shape[1], self._height, row)
        result.zero_()
        for kernel_row in range(self._kernel):
            for block in range(blocks):
                start = block * self._block * self._channels
                result[:, :, kernel_row : kernel_row + self.rows, start : start + span] += apart[
                    :, :, :, block, kernel_row
                ]
        return result


def _block(columns: int, outputs: int, step: int) -> int:
    """The smallest block of columns that makes a matrix of at least `LEAST_COLUMNS`; it divides the row evenly."""
    fitting = [block for block in range(step, columns + 1, step) if columns % block == 0]
    return next((block for block in fitting if block * outputs >= LEAST_COLUMNS), columns)
