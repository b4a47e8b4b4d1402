"""Where in what was pickled the parameters are, and what lies beside them."""

import re
from math import prod
from typing import Any

from zoo_pipeline.formats.elements import ITEM_BYTES, c_order, elements_reached
from zoo_pipeline.formats.stand_ins import Inert, Named, PickledTensor
from zoo_pipeline.formats.state import Described, FileRefused, TensorEntry

# Keys under which a state_dict lies, best first; moving averages are taken only where there is nothing else.
STATE_DICTS = (
    *("state_dict", "model_state_dict", "model_state", "model", "net", "network", "params", "module", "weights"),
    *("parameters", "model_weights", "net_state_dict", "ema", "model_ema"),
    *("ema_state_dict", "state_dict_ema", "ema_model"),
)
EPOCHS, STEPS = ("epoch",), ("global_step", "step", "iteration", "iter")
OPTIMISERS = re.compile(r"optim|sched|^opt$|^opt_|_opt$|scaler|^amp$", re.IGNORECASE)
_DEEPEST = 16
MOST_CHARACTERS = 1_000  # of a name: a long key before very many would take any amount of memory
MOST_NAMES = 1 << 17
_LARGEST_CLAIM = 1 << 63


def describe(root: Any) -> Described:
    """The tensors of the state_dict in what was pickled; a tensor alone is named "weights", those of a list by number.

    Raises:
        FileRefused: there is none, or a tensor reaches out of its storage.
    """
    if type(root) is PickledTensor:
        root = {"weights": root}
    if type(root) in (list, tuple) and root and all(type(item) is PickledTensor for item in root):
        root = {str(number): item for number, item in enumerate(root)}
    if type(root) is not dict:
        raise FileRefused(f"not a checkpoint: it holds {_word(root)}, expected a state_dict")
    left_out: dict[str, str] = {}
    claims: dict[str, int] = {}
    known: dict[int, bool] = {}
    inner, depth = root, 0
    while (key := _state_dict_in(inner, known)) is not None and depth < _DEEPEST:
        _claim(inner, claims)
        left_out |= {
            _short(name): _beside(name, value, known) for name, value in inner.items() if _is_left(name, key, value)
        }
        inner, depth = inner[key], depth + 1
    entries: dict[str, TensorEntry] = {}
    _flatten(inner, "", entries, left_out, set(), known)
    _claim(inner, claims)
    return Described(tuple(entries.values()), left_out, claims.get("step"), claims.get("epoch"))


def _state_dict_in(found: dict[Any, Any], known: dict[int, bool]) -> str | None:
    """The key under which the state_dict is; None where this is it."""
    for key in STATE_DICTS:
        if type(found.get(key)) is dict and _has_tensors(found[key], known):
            return key
    inner = [
        key
        for key, value in found.items()
        if type(value) is dict and not _is_optimiser(key, value) and _has_tensors(value, known)
    ]
    alone = len(inner) == 1 and type(inner[0]) is str
    return inner[0] if alone and not any(type(value) is PickledTensor for value in found.values()) else None


def _has_tensors(found: dict[Any, Any], known: dict[int, bool], depth: int = 0) -> bool:
    """Whether there is a tensor in a dictionary or in those in it; each is looked at once, `known` is by their ids."""
    if id(found) in known or depth > _DEEPEST:
        return known.get(id(found), False)
    known[id(found)] = False
    known[id(found)] = any(
        type(value) is PickledTensor or (type(value) is dict and _has_tensors(value, known, depth + 1))
        for value in found.values()
    )
    return known[id(found)]


def _is_optimiser(key: Any, value: dict[Any, Any]) -> bool:
    return _is_named_optimiser(key) or {"state", "param_groups"} <= value.keys()


def _is_named_optimiser(key: Any) -> bool:
    return type(key) is str and len(key) <= MOST_CHARACTERS and OPTIMISERS.search(key) is not None


def _claim(found: dict[Any, Any], claims: dict[str, int]) -> None:
    for claim, keys in (("epoch", EPOCHS), ("step", STEPS)):
        for key in keys:
            value = found.get(key)
            if type(value) is int and 0 <= value < _LARGEST_CLAIM:
                claims.setdefault(claim, value)


def _is_left(name: Any, taken: str, value: Any) -> bool:
    return name != taken and not (name in EPOCHS + STEPS and type(value) is int)


def _beside(name: Any, value: Any, known: dict[int, bool]) -> str:
    if type(value) is dict:
        if _is_optimiser(name, value):
            return "optimiser state"
        return "beside the parameters" if _has_tensors(value, known) else "dict, no tensor"
    if type(value) in (list, tuple) and _is_named_optimiser(name):
        return "optimiser state"
    return "beside the parameters" if type(value) is PickledTensor else f"{_word(value)}, no tensor"


def _flatten(
    found: dict[Any, Any],
    prefix: str,
    entries: dict[str, TensorEntry],
    left_out: dict[str, str],
    seen: set[int],
    known: dict[int, bool],
    depth: int = 0,
) -> None:
    if id(found) in seen or depth > _DEEPEST:
        left_out[prefix.removesuffix(".")] = "the same dictionary again, or one in too many others"
        return
    seen.add(id(found))
    for key, value in found.items():
        word = key if type(key) is str else key.name if type(key) in (Inert, Named) else str(key)
        name = prefix + word if len(word) <= MOST_CHARACTERS else word
        if len(name) > MOST_CHARACTERS or len(entries) + len(left_out) >= MOST_NAMES:
            raise FileRefused(f"too large: a name of {len(name):,} characters, or more than {MOST_NAMES:,} names")
        if name in entries:
            raise FileRefused(f"two tensors: both are named {name}")
        if type(value) is PickledTensor:
            entries[name] = _entry(name, value)
        elif type(value) is dict and not _is_optimiser(key, value) and _has_tensors(value, known):
            _flatten(value, f"{name}.", entries, left_out, seen, known, depth + 1)
        else:
            left_out[name] = _beside(key, value, known)


def _entry(name: str, tensor: PickledTensor) -> TensorEntry:
    """A tensor whose place within its storage has been checked, if its values can be parameters."""
    held = tensor.storage
    if held is None or tensor.kind not in ITEM_BYTES:
        return TensorEntry(name, tensor.shape, tensor.kind)
    size = ITEM_BYTES[tensor.kind]
    held_count = held.length * held.item_bytes // size
    strides = None if c_order(tensor.shape, tensor.strides) else tensor.strides
    start = held.start + tensor.offset
    if start + elements_reached(tensor.shape, strides) > held_count:
        raise FileRefused(f"damaged: tensor {name} reaches beyond its storage of {held_count:,} elements")
    if prod(tensor.shape) > held_count:
        raise FileRefused(f"damaged: tensor {name} has more elements than its storage of {held_count:,}")
    return TensorEntry(name, tensor.shape, tensor.kind, held.key, start, strides)


def _short(key: Any) -> str:
    return str(key if type(key) is str else _word(key) if type(key) in (Inert, Named) else key)[:MOST_CHARACTERS]


def _word(value: Any) -> str:
    return value.name if type(value) in (Inert, Named) else type(value).__name__
