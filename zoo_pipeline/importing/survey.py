"""The survey of an import: which files there are, and which tensors each of them has. No values are read."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from zoo_pipeline.errors import StoreError
from zoo_pipeline.formats import SUFFIXES
from zoo_pipeline.importing.file_origin import FileOrigin
from zoo_pipeline.importing.history import History
from zoo_pipeline.importing.origins import below
from zoo_pipeline.importing.reading import INDEX_SUFFIX, Shapes, shapes_of
from zoo_pipeline.importing.stamps import Stamp
from zoo_pipeline.importing.trials import BESIDE

BATCH_FILES = 1_024
# Beside checkpoints, in formats of checkpoints, and none: of Ray Tune, of Hugging Face's Trainer, of Lightning.
_NO_CHECKPOINTS = ("optimizer", "scheduler", "rng_state", "training_args", "scaler", "trainer_state", "hparams", ".")
_PART = re.compile(r"-\d{5}-of-\d{5}\.(?:safetensors|bin)$")
_TAR, _TARRED = ".tar", (".pth", ".pt", ".ckpt")
_FOLDER = re.compile(r"checkpoint[_-]\d+")
_WITHOUT_SUFFIX = ("checkpoints", "checkpoint", "model", "weights")


@dataclass
class Listing:
    """The files of all origins.

    Attributes:
        files: those that are taken for checkpoints, as (number of the origin, name).
        stamps: of these files.
        beside: by (number of the origin, folder): which files with hyperparameters and metrics lie there.
        passed_over: how many other files there are, by their suffix or name.
        links: links to folders, which were not followed.
    """

    files: list[tuple[int, str]] = field(default_factory=list)
    stamps: list[Stamp] = field(default_factory=list)
    beside: dict[tuple[int, str], frozenset[str]] = field(default_factory=dict)
    passed_over: dict[str, int] = field(default_factory=dict)
    links: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Surveyed:
    """What a batch of files has.

    Attributes:
        shapes: the tensors of the files, each list once.
        of_file: for each file, which of `shapes` it has; −1 where it cannot be read.
        refused: by the file's place in the batch, why it cannot be read.
    """

    shapes: list[Shapes]
    of_file: list[int]
    refused: dict[int, str]


def list_files(origins: Sequence[FileOrigin]) -> Listing:
    """All files of all origins, in the order of the origins and names.

    Raises:
        StoreError: a folder cannot be listed.
    """
    listing = Listing()
    for number, origin in enumerate(origins):
        stamps = dict(below(origin))
        indexed = {name.rpartition("/")[0] for name in stamps if name.endswith(INDEX_SUFFIX)}
        for name, stamp in stamps.items():
            path = PurePosixPath(name.rpartition("@")[0] if isinstance(origin, History) else name)
            if path.name in BESIDE:
                place = (number, str(path.parent))
                listing.beside[place] = listing.beside.get(place, frozenset()) | {path.name}
            elif _PART.search(path.name) and name.rpartition("/")[0] in indexed:
                continue  # its index stands for it
            elif _is_checkpoint(path) or getattr(origin, "only", "") == name:
                listing.files.append((number, name))
                listing.stamps.append(stamp)
            else:
                kind = path.suffix or path.name
                listing.passed_over[kind] = listing.passed_over.get(kind, 0) + 1
        listing.links += [f"{origin.given}/{link}" for link in getattr(origin, "links", ())]
    return listing


def _is_checkpoint(path: PurePosixPath) -> bool:
    """Whether a file's name is one of a checkpoint's; without a suffix, only where Ray Tune has such."""
    if path.name.endswith(INDEX_SUFFIX):
        return True
    if path.suffix.lower() == _TAR:  # which none has been since torch 0.1, but in name
        path = path.with_suffix("")
        return path.suffix.lower() in _TARRED and not path.name.startswith(_NO_CHECKPOINTS)
    if path.name.startswith(_NO_CHECKPOINTS) or path.suffix.lower() not in SUFFIXES:
        return False
    return bool(path.suffix) or _FOLDER.fullmatch(path.parent.name) is not None or path.name in _WITHOUT_SUFFIX


def batches(files: Sequence[tuple[int, str]]) -> list[tuple[tuple[int, str], ...]]:
    """The files in parts for a task each."""
    return [tuple(files[start : start + BATCH_FILES]) for start in range(0, len(files), BATCH_FILES)]


def survey(batch: Iterable[tuple[int, str]], origins: Sequence[FileOrigin], *, device: str) -> Surveyed:  # noqa: ARG001
    """Look at the tensors of a batch of files."""
    known: dict[Shapes, int] = {}
    of_file: list[int] = []
    refused: dict[int, str] = {}
    for at, (number, name) in enumerate(batch):
        try:
            shapes = shapes_of(origins[number], name)
        except StoreError as error:
            refused[at] = str(error)
            of_file.append(-1)
            continue
        of_file.append(known.setdefault(shapes, len(known)))
    return Surveyed(list(known), of_file, refused)


def found_in(batch: Sequence[tuple[int, str]], surveyed: Surveyed) -> Iterator[tuple[tuple[int, str], Shapes]]:
    """The files of a batch that can be read, with their tensors."""
    for file, number in zip(batch, surveyed.of_file, strict=True):
        if number >= 0:
            yield file, surveyed.shapes[number]
