"""Convolutions as matrix products with banded matrices."""

import torch
from torch import Tensor

from zoo_pipeline.training.layers.scratch import Scratch

WIDE = 64  # columns of a matrix that are worth a product of their own, where a row has as many


class Convolution:
    """Valid convolutions of stacked models, stride 1, square kernels.

    One row of outputs depends on `kernel` rows of inputs by a matrix that holds the kernel along its diagonals (a
    Toeplitz matrix). So the convolution is one matrix product per model: overlapping windows of whole rows, copied
    from memory in long runs, times that matrix. Most of the matrix is zero; blocks of a row keep that waste small, and
    the product is still several times faster on a CPU than direct convolution of so few channels. A block of one
    column is the usual unfolding.

    Inputs are float32[models, images, height, width · channels]. Outputs are [models, images, rows, columns ·
    channels], or for a `MaxPool` behind it, which then also adds the bias, a view [models, 2, 2, images, rows / 2,
    blocks, half block · channels] with the four pixels of a window first; rows and columns that no pool takes are not
    computed.

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
        # Left and right pixels of a pool apart in memory, where the products stay large: pools run faster over that.
        self._parts = 2 if pooled and width >= WIDE else 1
        # Zero but for the band, which every step writes anew.
        self._matrix = torch.zeros(self._parts, self._models, depth, width // self._parts, device=self._weight.device)

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
        parts, models, depth, width = self._matrix.shape
        rows = self._as_rows(gradient)
        if self._bias_gradient is not None:
            torch.sum(gradient.view(models, -1, self._outputs), 1, out=self._bias_gradient)
        product = self._scratch.get(f"{self._name}.matrix_gradient", parts, models, depth, width)
        for part in range(parts):
            torch.bmm(self._windows.mT, rows[part], out=product[part])
        band = self._band(product).sum((4, 5))
        self._weight_gradient.copy_(band.permute(0, 4, 3, 1, 2))
        if self._first:
            return gradient
        windows = self._scratch.get(f"{self._name}.windows_gradient", *self._windows.shape)
        torch.bmm(rows[0], self._matrix[0].mT, out=windows)
        if parts == 2:
            windows.baddbmm_(rows[1], self._matrix[1].mT)
        return self._scatter(windows)

    def _fill(self) -> None:
        """Write the kernels along the band of the matrix."""
        kernels = self._weight.permute(0, 3, 4, 2, 1)  # models, kernel row, kernel column, channel, output
        band = self._band(self._matrix)
        band.copy_(kernels[:, :, :, :, None, None, :].expand_as(band))

    def _band(self, matrix: Tensor) -> Tensor:
        """The band as [models, kernel row, kernel column, channel, pixel pair, pixel of the pair, output]."""
        parts, models, depth, width = matrix.shape
        pair = 2 if self._pooled else 1
        in_column = self._channels * width  # a column of inputs further down the matrix
        half = models * depth * width if parts == 2 else width // pair  # from a left to its right pixel
        strides = (
            depth * width,
            self._reach * in_column,
            in_column,
            width,
            pair * in_column + self._outputs,
            in_column + half,
            1,
        )
        shape = (models, self._kernel, self._kernel, self._channels, self._block // pair, pair, self._outputs)
        return matrix.as_strided(shape, strides)

    def _window(self, values: Tensor) -> Tensor:
        """Windows float32[models or 1, rows of windows, kernel · reach · channels], upper rows of pools first."""
        values = values.contiguous()
        models, images = values.shape[:2]
        row = self._width * self._channels
        image = self._height * row
        pair = 2 if self._pooled else 1
        blocks = self.columns // self._block
        shape = (models, pair, images, self.rows // pair, blocks, self._kernel, self._reach * self._channels)
        strides = (images * image, row, image, pair * row, self._block * self._channels, row, 1)
        result = self._scratch.get(f"{self._name}.windows", *shape)
        result.copy_(values.as_strided(shape, strides, values.storage_offset()))
        return result.view(models, -1, shape[5] * shape[6])

    def _product(self, windows: Tensor, images: int) -> Tensor:
        parts, models, _, width = self._matrix.shape
        result = self._scratch.get(f"{self._name}.outputs", parts, models, windows.shape[1], width)
        for part in range(parts):
            torch.bmm(windows.expand(models, -1, -1), self._matrix[part], out=result[part])
        if self._pooled:
            return self._as_pixels(result, images)
        outputs = result.view(models, images, self.rows, self.columns * self._outputs)
        if self._bias is not None:
            outputs.view(models, -1, self._outputs).add_(self._bias[:, None])
        return outputs

    def _as_pixels(self, rows: Tensor, images: int) -> Tensor:
        """Rows of the products as a view with the four pixels of a pool's window first."""
        parts, models, _, width = rows.shape
        blocks = self.columns // self._block
        if parts == 2:
            return rows.view(2, models, 2, images, self.rows // 2, blocks, width).permute(1, 2, 0, 3, 4, 5, 6)
        return rows.view(models, 2, images, self.rows // 2, blocks, 2, width // 2).permute(0, 1, 5, 2, 3, 4, 6)

    def _as_rows(self, gradient: Tensor) -> Tensor:
        """The inverse of `_as_pixels`, or of what `_product` does where there is no pool."""
        parts, models, _, width = self._matrix.shape
        if parts == 2:
            return gradient.permute(2, 0, 1, 3, 4, 5, 6).view(2, models, -1, width)
        if self._pooled:
            return gradient.permute(0, 1, 3, 4, 5, 2, 6).view(1, models, -1, width)
        return gradient.view(1, models, -1, width)

    def _scatter(self, windows: Tensor) -> Tensor:
        """Add the windows' gradients up where they overlap."""
        blocks = self.columns // self._block
        span = self._reach * self._channels
        pair = 2 if self._pooled else 1
        apart = windows.view(self._models, pair, -1, self.rows // pair, blocks, self._kernel, span)
        row = self._width * self._channels
        result = self._scratch.get(f"{self._name}.inputs_gradient", self._models, apart.shape[2], self._height, row)
        result.zero_()
        for lower in range(pair):
            for kernel_row in range(self._kernel):
                first = lower + kernel_row
                for block in range(blocks):
                    start = block * self._block * self._channels
                    seen = result[:, :, first : first + self.rows : pair, start : start + span]
                    seen += apart[:, lower, :, :, block, kernel_row]
        return result


def _block(columns: int, outputs: int, step: int) -> int:
    """The smallest block of columns that makes a `WIDE` matrix; it divides the row evenly."""
    fitting = [block for block in range(step, columns + 1, step) if columns % block == 0]
    return next((block for block in fitting if block * outputs >= WIDE), columns)
