"""What the names of checkpoint files claim: of which model they are, and after which epoch or step.

A name is a claim and no more: the analysis of the weights says whether it is true.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from zoo_pipeline.errors import ConfigError
from zoo_pipeline.formats import SUFFIXES

_FOLDERS = (
    (re.compile(r"checkpoint_(\d+)"), "epoch"),  # Ray Tune, as the published zoos have it
    (re.compile(r"checkpoint-(\d+)"), "step"),  # the Trainer of Hugging Face
)
_LABELS = (
    (re.compile(r"(?:^|[^a-z])(?:epoch|ep|e)[=_-]?$", re.IGNORECASE), "epoch"),
    (re.compile(r"(?:^|[^a-z])(?:global_?step|step|iteration|iter|it)[=_-]?$", re.IGNORECASE), "step"),
)
# A folder for each checkpoint, whose file may say more of the model.
_LABELLED_FOLDERS = (
    (re.compile(r"(?:epoch|ep)[=_-]?(\d+)", re.IGNORECASE), "epoch"),
    (re.compile(r"(?:global_?step|step|iteration|iter)[=_-]?(\d+)", re.IGNORECASE), "step"),
)
# A measured number, as trackers put it into names: of this checkpoint, and not of its model.
_METRIC = re.compile(
    r"(?:^|(?<=[\W_]))(?:(?:best|avg|mean|train|val|valid|validation|eval|test|dev)[_-]?)*"
    r"(?:loss|acc|accuracy|top[15]|err|error|auc|auroc|f1|iou|miou|m?ap|mse|rmse|mae|nll|ppl|perplexity|psnr|bleu|score|metric)"
    r"[=_:-]?-?\d+\.\d+(?:e[+-]?\d+)?",
    re.IGNORECASE,
)
# The same without a label after a number that stands by itself or has a label, as in Keras' `weights.01-0.53`.
_MEASURED = re.compile(r"((?:.*[\W_])?(?:epoch|ep|step|iter)?\d+)[-_]\d+\.(\d+)", re.IGNORECASE)
# Which of a model's checkpoints it is, without a number.
_WORD = r"(?:best|last|final|latest|newest)"
_BY_WORD = re.compile(rf"(?:^|(?<=[\W_])){_WORD}(?=[\W_]|$)", re.IGNORECASE)
# A stem that says what the file is and not of which model, so that the folder does.
_NOTHING = (
    r"(?:checkpoints?|ckpt|chkpt|cp|models?|pytorch_model|weights|params|state_?dict|net|snapshot|epoch|ep|step|[\W_])*"
)
_SAYS_NOTHING = re.compile(_NOTHING, re.IGNORECASE)
# At the end, or before nothing of a name; `init_uniform_3` is something else.
_INIT = re.compile(rf"(?:^|(?<=[\W_]))init(?:ial)?$|^init(?:ial)?(?=[\W_]{_NOTHING}$)", re.IGNORECASE)
_FORMATS = frozenset((*SUFFIXES, ".tar", ".gz", ".zip", ".index", ".json", ".model", ".weights"))
_FIELDS = {"model": r"(?P<model>.+?)", "epoch": r"(?P<epoch>\d+)", "step": r"(?P<step>\d+)", "*": r".*?"}


@dataclass(frozen=True)
class Claim:
    """What a name says; None where it does not.

    Attributes:
        model: a name of the model, the same for all its checkpoints.
        epoch: passes over the training data.
        step: optimiser steps.
    """

    model: str | None = None
    epoch: int | None = None
    step: int | None = None


class Pattern:
    """A pattern of one's own, such as `{model}/epoch-{epoch}.pt`; `{*}` stands for anything.

    It is held against the end of a path, from the beginning of a folder's or the file's name on. `{*}` alone is of
    every path, and says nothing of any.

    Raises:
        ConfigError: it names something else, the same thing twice, or nothing.
    """

    def __init__(self, text: str) -> None:
        parts = re.split(r"\{([^{}]*)\}", text)
        named = [part for part in parts[1::2] if part != "*"]
        if any(brace in part for part in parts[::2] for brace in "{}"):
            raise ConfigError(f"--pattern {text}: has half a pair of braces; expected such as {{model}}/{{epoch}}.pt")
        for name in named:
            if name not in _FIELDS:
                raise ConfigError(f"--pattern {text}: has {{{name}}}, expected {{model}}, {{epoch}}, {{step}} or {{*}}")
            if named.count(name) > 1:
                raise ConfigError(f"--pattern {text}: has {{{name}}} twice; use {{*}} for what may be anything")
        if not named and text != "{*}":
            raise ConfigError(
                f"--pattern {text}: names nothing; expected such as {{model}}/epoch-{{epoch}}.pt, or {{*}} alone"
            )
        self.text = text
        written = (_FIELDS[part] if at % 2 else re.escape(part) for at, part in enumerate(parts))
        self._matched = re.compile(rf"(?:.*/)?{''.join(written)}", re.DOTALL)

    def claim(self, path: str) -> Claim | None:
        """What a path says; None where it is not of this pattern."""
        found = self._matched.fullmatch(path)
        if found is None:
            return None
        said = found.groupdict()
        return Claim(said.get("model"), *(_number(said.get(name)) for name in ("epoch", "step")))


def claims(paths: Sequence[str]) -> list[Claim]:
    """What the paths of checkpoints say, by the usual rules, in the same order.

    - A folder `checkpoint_000007` says the epoch, `checkpoint-500` the step, and the folder that it lies in the model.
    - Else a file's name does: a number after `epoch`, `ep` or `e`, or after `step` or `iter`; without these, the last
      number in which the names of alike files of a folder differ (`run2_01.pt`, `run2_02.pt`, …). What is left of the
      name, with the folder, is the model. A file without any number says the model alone.
    - A metric with a decimal point (`acc0.93`, `val_loss=0.14`, or a decimal alone, with as many digits in all names,
      after numbers that all differ: `01-0.53`, `02-0.48`) says nothing of the model. Neither do `best`, `last`,
      `final` and the like, or `init` at the end of the name: such a file is one more checkpoint of the model that the
      rest says, and only a number with a label is its epoch or step.
    """
    found: list[Claim | None] = []
    # By folder, names but for their numbers, and whether a word is there: which paths are alike, and what names them.
    alike: dict[tuple[str, str, bool], list[tuple[int, str]]] = {}
    for at, path in enumerate(paths):
        folder, _, name = path.rpartition("/")
        stem, worded = _cleaned(_stem(name))
        found.append(_by_folder(folder, stem))
        if found[at] is None:
            alike.setdefault((folder, re.sub(r"\d+", "0", stem), worded), []).append((at, stem))
    for (folder, _, worded), files in alike.items():
        said = _of_alike(folder, [stem for _, stem in files], labelled=worded)
        for (at, _), claim in zip(files, said, strict=True):
            found[at] = claim
    return [claim or Claim() for claim in found]


def _cleaned(stem: str) -> tuple[str, bool]:
    """A name without metrics and words, and whether there was a word, beside which only numbers with a label count."""
    stem = _METRIC.sub("", stem).strip("-_=. ")
    left = _INIT.sub("", _BY_WORD.sub("", stem)).strip("-_=. ")
    return (re.sub(r"[-_=. ]{2,}", "_", left), True) if left != stem else (stem, False)


def _by_folder(above: str, stem: str) -> Claim | None:
    before, _, folder = above.rpartition("/")
    for pattern, kind in _FOLDERS:
        if said := pattern.fullmatch(folder):
            number = _number(said[1])
            return Claim(before or ".", number if kind == "epoch" else None, number if kind == "step" else None)
    words = re.split(r"\d+", stem)
    if stem.isdigit() or any(map(_label, words[:-1])):
        return None  # the file says it itself
    for pattern, kind in _LABELLED_FOLDERS:
        if said := pattern.fullmatch(folder):
            number = _number(said[1])
            model = _joined(before, stem)
            return Claim(model, number if kind == "epoch" else None, number if kind == "step" else None)
    return None


def _of_alike(folder: str, stems: list[str], *, labelled: bool) -> Iterator[Claim]:
    """Claims of files of one folder whose names differ in numbers alone; `labelled`: numbers need a label."""
    measured = [_MEASURED.fullmatch(stem) for stem in stems]
    heads = [each[1] for each in measured if each]
    places = {len(each[2]) for each in measured if each}  # after the point: a format has always as many
    if 1 < len(stems) == len(set(heads)) and len(places) == 1:  # each says which it is without its decimal
        stems = heads
    parts = [re.split(r"(\d+)", stem) for stem in stems]
    numbers = range(1, len(parts[0]), 2)
    labels = [_label(parts[0][at - 1]) for at in numbers]
    varying = [len({part[at] for part in parts}) > 1 for at in numbers]
    chosen = _chosen(labels, varying, labelled=labelled)
    if not labelled and not chosen and labels and _SAYS_NOTHING.fullmatch("".join(parts[0][::2])):
        chosen["epoch"] = 2 * len(labels) - 1  # `15.pt`, `ckpt-15.pt`
    for part in parts:
        said = {kind: _number(part[at]) for kind, at in chosen.items()}
        drop = set(chosen.values())
        left = [_unlabelled(text) if at + 1 in drop else text for at, text in enumerate(part) if at not in drop]
        model = "".join(left).strip("-_=. ")
        yield Claim(_joined(folder, model), said.get("epoch"), said.get("step"))


def _chosen(labels: list[str | None], varying: list[bool], *, labelled: bool) -> dict[str, int]:
    """Which parts of a split name are the epoch and the step: by their labels, or else the last number that varies."""
    chosen: dict[str, int] = {}
    for number, label in enumerate(labels):
        # `epoch2_1`, `epoch2_2`, … are the checkpoints 1, 2, … of something called epoch2.
        if label and (varying[number] or not any(varying[number:])):
            chosen.setdefault(label, 2 * number + 1)
    if set(chosen) == {"step"} and "epoch" in labels[: chosen["step"] // 2]:  # `epoch=0-step=100`, `epoch=0-step=200`
        chosen["epoch"] = 2 * labels.index("epoch") + 1
    if not chosen and not labelled and any(varying):
        chosen["epoch"] = 2 * max(number for number, varies in enumerate(varying) if varies) + 1
    return chosen


def _label(before: str) -> str | None:
    return next((kind for pattern, kind in _LABELS if pattern.search(before)), None)


def _unlabelled(before: str) -> str:
    for pattern, _ in _LABELS:
        if found := pattern.search(before):
            return before[: found.start()]
    return before


def _joined(folder: str, model: str) -> str:
    if _SAYS_NOTHING.fullmatch(model):
        return folder or "."
    return f"{folder}/{model}" if folder else model


def _stem(name: str) -> str:
    """A file's name without what says its format: `lr0.1_v2.pth.tar` is `lr0.1_v2`."""
    while (cut := name.rfind(".")) > 0 and name[cut:].lower() in _FORMATS:
        name = name[:cut]
    return name


def _number(text: str | None) -> int | None:
    """A number of a name, if any network was ever trained for so long."""
    if text is None or len(text) > 18:  # the largest of int64 has 19 digits
        return None
    return int(text)
