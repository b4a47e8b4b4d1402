"""Which tensors of a file are trainable parameters: by their names and kinds, as files say nothing else of it."""

import re
from dataclasses import dataclass
from math import prod

from zoo_pipeline.formats.elements import ITEM_BYTES
from zoo_pipeline.formats.state import Described, FileRefused, Shapes, TensorEntry

BUFFERS = frozenset(
    (
        *("running_mean", "running_var", "num_batches_tracked", "moving_mean", "moving_variance", "n_averaged"),
        *("position_ids", "token_type_ids", "relative_position_index", "relative_coords_table"),
        *("inv_freq", "original_inv_freq", "masked_bias"),
    )
)
# `mask_token` and the like are trained, masks are not.
MASKS = re.compile(r"(^|_)masks?$|^masks?_(?!token|emb|pos)")
OPTIMISER_STATE = frozenset(
    (
        *("exp_avg", "exp_avg_sq", "max_exp_avg_sq", "exp_inf", "momentum_buffer", "square_avg", "acc_delta"),
        *("grad_avg", "exp_avg_sq_row", "exp_avg_sq_col", "prev", "step_size_avg"),
    )
)
AVERAGES = frozenset(("shadow", "shadow_params", "ema", "ema_model", "model_ema"))
PREFIXES = ("module.", "_orig_mod.")  # of DataParallel and torch.compile
MOST_TIMES_READ = 4  # that the elements of a file are copied into tensors, which may overlap


@dataclass(frozen=True, slots=True, eq=False)
class Selection:
    """The parameters among the tensors of a file.

    Attributes:
        entries: the parameters by the names they get, with their descriptions, in the order of the file.
        shapes: the same names with their shapes.
        left_out: as of `State`.
        step: as of `State`.
        epoch: as of `State`.
    """

    entries: tuple[tuple[str, TensorEntry], ...]
    shapes: Shapes
    left_out: dict[str, str]
    step: int | None
    epoch: int | None


def select(described: Described) -> Selection:
    """Take the parameters, each once, and say of all other tensors why they are none.

    Raises:
        FileRefused: there is none, or one of a kind that cannot become float32.
    """
    left_out = dict(described.left_out)
    kept: list[TensorEntry] = []
    first: dict[tuple[object, ...], str] = {}
    names = frozenset(entry.name for entry in described.entries)
    try:
        "".join(names).encode()
    except UnicodeEncodeError:
        raise FileRefused("damaged: a tensor's name is no Unicode text") from None
    averages = _averages(described.entries, names)
    for entry in described.entries:
        why = "moving average" if entry.name in averages else _why_not(entry, names)
        if why is None:
            if entry.kind not in ITEM_BYTES:
                raise FileRefused(f"{entry.kind} tensor {entry.name}")
            same = first.setdefault(entry[1:], entry.name)
            why = None if same == entry.name else f"the same tensor as {same}"
        if why is None:
            kept.append(entry)
        else:
            left_out[entry.name] = why
    if not kept:
        raise FileRefused("no floating-point tensor")
    prefix = _prefix(kept)
    named = tuple((entry.name[len(prefix) :], entry) for entry in kept)
    left_out = {name.removeprefix(prefix): why for name, why in left_out.items()}
    return Selection(
        named, tuple((name, entry.shape) for name, entry in named), left_out, described.step, described.epoch
    )


def _why_not(entry: TensorEntry, names: frozenset[str]) -> str | None:
    """Why a tensor is no parameter; None where it is one."""
    path, _, leaf = entry.name.rpartition(".")
    if leaf in OPTIMISER_STATE:
        return "optimiser state"
    if leaf in BUFFERS or MASKS.search(leaf) or _is_of_spectral_norm(path, leaf, names):
        return "buffer"
    if leaf == "bias" and len(entry.shape) == 4 and entry.shape[:2] == (1, 1) and entry.shape[2] == entry.shape[3] > 1:
        return "buffer (a causal mask, by its shape)"
    if entry.kind in ITEM_BYTES:
        return None if prod(entry.shape) else "empty"
    if re.fullmatch(r"u?int\d+|bool|object|text|structured|untyped|bits.*|datetime.*|timedelta.*", entry.kind):
        return f"{entry.kind}, no floating point"
    return None


def _averages(entries: tuple[TensorEntry, ...], names: frozenset[str]) -> frozenset[str]:
    """Names of moving averages of other tensors; none where there is nothing else."""
    averages = frozenset(name for name in names if not AVERAGES.isdisjoint(name.split(".")[:-1]))
    if not averages:
        return averages
    others = any(entry.name not in averages and _why_not(entry, names) is None for entry in entries)
    return averages if others else frozenset()


def _is_of_spectral_norm(path: str, leaf: str, names: frozenset[str]) -> bool:
    if leaf in ("_u", "_v"):
        return "parametrizations" in path.split(".")
    stem = f"{path}." if path else ""
    return leaf.endswith(("_u", "_v")) and f"{stem}{leaf[:-2]}_orig" in names


def _prefix(kept: list[TensorEntry]) -> str:
    """What wrappers put before all names."""
    prefix = ""
    while more := next((p for p in PREFIXES if all(entry.name.startswith(prefix + p) for entry in kept)), ""):
        prefix += more
    return prefix
