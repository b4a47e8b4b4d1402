"""Principal components of the weights, for pictures."""

import numpy as np
import numpy.typing as npt
from sklearn.decomposition import PCA


def principal_components(
    weights: npt.NDArray[np.float32], k: int = 3
) -> tuple[npt.NDArray[np.float32], tuple[float, ...]]:
    """Project checkpoints onto the directions of largest variance.

    Rows that are not finite are skipped and come back as NaN. Where the data have fewer than k directions, the
    remaining coordinates are zero. The result is the same on every call.

    Args:
        weights: float32[n, d], one checkpoint per row.
        k: number of components.

    Returns:
        The coordinates, float32[n, k], and the share of the total variance along each component, k floats.

    Example:
        >>> line = np.outer(np.arange(5.0), np.ones(4)).astype(np.float32)
        >>> coordinates, share = principal_components(line)
        >>> np.abs(coordinates[:, 0]).round(3).tolist()
        [4.0, 2.0, 0.0, 2.0, 4.0]
        >>> round(share[0], 6)
        1.0
    """
    finite = np.isfinite(weights).all(axis=1)
    coordinates = np.full((len(weights), k), np.nan, dtype=np.float32)
    coordinates[finite] = 0.0
    share = np.zeros(k)
    rows = weights if finite.all() else weights[finite]
    found = min(k, *rows.shape)
    if found > 0 and (rows != rows[0]).any():
        # Many orthogonal starts make a flat spectrum, which the randomised solver needs more iterations for.
        pca = PCA(found, svd_solver="auto", n_oversamples=20, iterated_power=7, random_state=0)
        scale = np.abs(rows).max()  # so that the squares of a nearly diverged model's weights do not overflow
        place, most = pca.fit_transform(rows / scale).astype(np.float64) * float(scale), float(np.finfo(np.float32).max)
        coordinates[finite, :found] = np.clip(place, -most, most)
        share[:found] = pca.explained_variance_ratio_
    return coordinates, tuple(share.tolist())
