"""Splits of one's own: fractions of the models, so that no model is in two of them."""

from collections.abc import Mapping, Sequence

from zoo_pipeline.digests import digest
from zoo_pipeline.errors import ConfigError

_ROUNDING = 1e-9  # that sums of fractions may be off


def split_models(model_ids: Sequence[int], fractions: Mapping[str, float], seed: int) -> dict[int, str]:
    """Which split each model is in; models beyond the sum of the fractions are in none.

    The models are put in the order of a hash of the seed and their ids, and cut into exact shares.

    Raises:
        ConfigError: a fraction is not positive, or their sum is above 1.

    >>> split_models(range(4), {"fit": 0.75, "check": 0.25}, seed=0)
    {0: 'fit', 1: 'fit', 2: 'fit', 3: 'check'}
    """
    if not fractions or not min(fractions.values()) > 0 or not sum(fractions.values()) <= 1 + _ROUNDING:
        raise ConfigError(
            f"split_by: got {dict(fractions)}, expected positive fractions with a sum of at most 1, "
            f'such as {{"train": 0.8, "test": 0.2}}'
        )
    order = sorted(model_ids, key=lambda model_id: digest(["split", seed, int(model_id)]))
    splits: dict[int, str] = {}
    start, share = 0, 0.0
    for name, part in fractions.items():
        share += part
        end = round(share * len(order))
        splits |= {int(model_id): name for model_id in order[start:end]}
        start = end
    return splits
