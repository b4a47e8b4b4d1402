"""Splits of a zoo's models, for learning about them."""

from collections.abc import Sequence

from zoo_pipeline.digests import digest

SPLITS = (("train", 0.70), ("validation", 0.15), ("test", 0.15))


def splits(keys: Sequence[str]) -> list[str]:
    """Train, validation or test for every model: exact shares, in the order of a hash of the models' keys."""
    order = sorted(range(len(keys)), key=lambda index: digest(["split", keys[index]]))
    found = [""] * len(keys)
    start, share = 0, 0.0
    for name, part in SPLITS:
        share += part
        end = round(share * len(keys))
        for index in order[start:end]:
            found[index] = name
        start = end
    return found
