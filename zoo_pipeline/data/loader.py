"""Datasets by name."""

from difflib import get_close_matches
from pathlib import Path

from zoo_pipeline.data.dataset import Dataset
from zoo_pipeline.data.digits import digits
from zoo_pipeline.data.mnist import mnist, mnist_10k
from zoo_pipeline.data.tetris import tetris
from zoo_pipeline.dataset_facts import DatasetFacts
from zoo_pipeline.errors import DataError

# Declared, so that a zoo can be planned without reading the data; loading checks the content against it.
BUILT_IN = {
    facts.name: facts
    for facts in (
        DatasetFacts(
            "digits", (1, 8, 8), 10, 1_437, 360, "232bef233e772000f04ccef4872bc7eb8deb755027d005586edd6d542b00942c"
        ),
        DatasetFacts(
            "tetris", (1, 4, 4), 4, 1_000, 500, "9192278fa3d1fc50f0aa260cd9dbc2488e3e5c74365d3976dd540a8b7ed923cd"
        ),
        DatasetFacts("mnist", (1, 28, 28), 10, 60_000, 10_000),
        DatasetFacts(
            "mnist-10k",
            (1, 28, 28),
            10,
            8_000,
            2_000,
            "e5b468f2ac8490aa509ba02df844023c32432e44d4839cadca19ca4e50001c2b",
        ),
        DatasetFacts("fashion-mnist", (1, 28, 28), 10, 60_000, 10_000),
        DatasetFacts("svhn", (3, 32, 32), 10, 73_257, 26_032),
        DatasetFacts("usps", (1, 16, 16), 10, 7_291, 2_007),
        DatasetFacts("cifar10", (3, 32, 32), 10, 50_000, 10_000),
        DatasetFacts("cifar100", (3, 32, 32), 100, 50_000, 10_000),
        DatasetFacts("stl10", (3, 96, 96), 10, 5_000, 8_000),
        DatasetFacts("tiny-imagenet", (3, 64, 64), 200, 100_000, 10_000),
        DatasetFacts("eurosat", (3, 64, 64), 10, 21_600, 5_400),
    )
}


def facts_of(dataset: str, data_dir: Path | None = None) -> DatasetFacts:  # noqa: ARG001
    """What the plan needs to know of a dataset, as it is declared.

    Raises:
        DataError: unknown name.
    """
    if dataset not in BUILT_IN:
        nearest = get_close_matches(dataset, BUILT_IN, n=1, cutoff=0.5)
        meant = f" (did you mean {nearest[0]}?)" if nearest else ""
        raise DataError(f"{dataset}: no such dataset{meant}; expected one of {', '.join(BUILT_IN)}")
    return BUILT_IN[dataset]


def load_dataset(name: str, data_dir: Path | None = None) -> Dataset:
    """Load a built-in dataset; `data_dir` holds the folder mnist/ where files are needed.

    Raises:
        DataError: unknown name, a file missing or damaged, or content other than declared.
    """
    if name not in BUILT_IN:
        raise DataError(f"{name}: no such dataset; expected one of {', '.join(BUILT_IN)}")
    dataset = _load(name, data_dir)
    declared = BUILT_IN[name].content_sha256
    if declared is not None and dataset.content_sha256 != declared:
        raise DataError(
            f"{name}: content hash {dataset.content_sha256}, expected {declared}; "
            f"the files or the library that makes the data differ from those this version knows"
        )
    return dataset


def _load(name: str, data_dir: Path | None) -> Dataset:
    match name:
        case "digits":
            return digits()
        case "tetris":
            return tetris()
        case "mnist":
            return mnist(data_dir)
        case _:
            return mnist_10k(data_dir)
