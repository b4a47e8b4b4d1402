"""What stands in for the classes and functions that a pickle names; each only notes what it was given.

A pickle may name nothing but what is listed here. Of what it names nothing is imported or called: tensors and storages
become descriptions, dictionaries plain ones, and all else an `Inert` that forgets its arguments.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from zoo_pipeline.formats.elements import MOST_AXES
from zoo_pipeline.formats.state import FileRefused

# By torch's names of storages: the kind of their elements and its bytes.
STORAGES = {
    "FloatStorage": ("float32", 4),
    "DoubleStorage": ("float64", 8),
    "HalfStorage": ("float16", 2),
    "BFloat16Storage": ("bfloat16", 2),
    "LongStorage": ("int64", 8),
    "IntStorage": ("int32", 4),
    "ShortStorage": ("int16", 2),
    "CharStorage": ("int8", 1),
    "ByteStorage": ("uint8", 1),
    "BoolStorage": ("bool", 1),
    "ComplexFloatStorage": ("complex64", 8),
    "ComplexDoubleStorage": ("complex128", 16),
    "QInt8Storage": ("quantised", 1),
    "QUInt8Storage": ("quantised", 1),
    "QInt32Storage": ("quantised", 4),
    "QUInt4x2Storage": ("quantised", 1),
    "QUInt2x4Storage": ("quantised", 1),
    "UntypedStorage": ("untyped", 1),
}
_LARGEST_KEY = 1 << 60  # from here on, integers of equal hash are easily made, which makes dictionaries slow


class Storage(NamedTuple):
    """Elements in a record of the file.

    Attributes:
        key: of the record.
        kind: of the elements.
        item_bytes: bytes of each.
        length: how many the record has.
        start: the first one, in elements; not 0 in old files for a part of a record.
    """

    key: str
    kind: str
    item_bytes: int
    length: int
    start: int = 0


class PickledTensor(NamedTuple):
    """A tensor in a pickle; its storage is None where there is none that could be read."""

    storage: Storage | None
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    kind: str


class Inert:
    """An object that is of no interest here."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name


class Named(NamedTuple):
    """A class or function that a pickle names.

    Attributes:
        name: with its module.
        made: what stands in for what it returns, by its arguments.
    """

    name: str
    made: Callable[[tuple[Any, ...]], Any]


def named(module: str, name: str) -> Named:
    """The stand-in for what a pickle names.

    Raises:
        FileRefused: it is not one of those that a checkpoint needs.
    """
    module = _PYTHON_2.get(module, module)
    full = f"{module}.{name}"
    if found := _NAMED.get(full):
        return found
    if module in ("torch", "torch.storage", "torch.cuda") and name in STORAGES:
        return Named(name, _nothing_made)
    if module == "torch" and name.isidentifier() and name.startswith(_DTYPES):
        return Named(name, _nothing_made)
    if name in _INERT.get(module, ()) or module.partition(".")[0] in _INERT_PACKAGES:
        return Named(full, lambda _: Inert(full))
    raise FileRefused(f"refused: would run {full}")


def storage(identity: Any) -> Storage:
    """The storage that a pickle refers to: ("storage", class, key, device, count), and in old files a part of it.

    Raises:
        FileRefused: it is no such thing.
    """
    if type(identity) is tuple and len(identity) == 5:  # as nearly all are; the same as the first pattern below
        word, cls, key, device, count = identity
        usual = word == "storage" and type(cls) is Named and type(key) is type(device) is str and type(count) is int
        if usual and count >= 0 and cls.name in STORAGES:
            return Storage(key, *STORAGES[cls.name], count)
    match identity:
        case ("storage", Named(name=name), str(key), str(), int(count), *rest) if name in STORAGES and count >= 0:
            kind, size = STORAGES[name]
            match rest:
                case [] | [None]:
                    return Storage(key, kind, size, count)
                case [(str(), int(start), int(length))] if start >= 0 <= length and start + length <= count:
                    return Storage(key, kind, size, count, start)
        case ("module", Named(name=name), *_):
            raise FileRefused(f"refused: would run {name}")
    raise FileRefused("damaged: the pickle refers to something that is no storage")


def dictionary_key(value: Any) -> Any:
    """A value that may be a key; what is no name or number is replaced by an `Inert`.

    Hashing a tuple of tuples of tuples can take for ever.
    """
    kind = type(value)
    if kind is str or value is None or kind is bool or (kind is int and -_LARGEST_KEY < value < _LARGEST_KEY):
        return value
    return Inert(kind.__name__)


def _nothing_made(_: tuple[Any, ...]) -> Any:
    raise FileRefused("damaged: the pickle calls what is no function")


def _sizes(value: Any) -> tuple[int, ...]:
    if type(value) is tuple and len(value) <= MOST_AXES:
        for size in value:
            if type(size) is not int or size < 0:
                break
        else:
            return value
    raise FileRefused("damaged: a tensor's shape or strides are none")


def _tensor(arguments: tuple[Any, ...]) -> PickledTensor:
    """torch._utils._rebuild_tensor(storage, offset, shape, strides), of v2 and v3 with more behind."""
    held, offset, shape, strides = arguments[:4]
    shape, strides = _sizes(shape), _sizes(strides)
    if type(held) is not Storage or type(offset) is not int or offset < 0 or len(shape) != len(strides):
        raise FileRefused("damaged: a tensor has no storage, or no place in it")
    meaning = arguments[6:7]
    kind = "negated" if meaning and isinstance(meaning[0], dict) and meaning[0].get("neg") else held.kind
    return PickledTensor(held, offset, shape, strides, kind)


def _typed_tensor(arguments: tuple[Any, ...]) -> PickledTensor:
    """torch._utils._rebuild_tensor_v3(storage, offset, shape, strides, requires_grad, hooks, dtype, …)."""
    dtype = arguments[6]
    if type(dtype) is not Named:
        raise FileRefused("damaged: a tensor has no dtype")
    return _tensor(arguments[:6])._replace(kind=dtype.name)


def _parameter(arguments: tuple[Any, ...]) -> Any:
    return arguments[0]


def _subclass(arguments: tuple[Any, ...]) -> Any:
    """torch._tensor._rebuild_from_type_v2(function, class, arguments, state)."""
    function, _, given = arguments[:3]
    if type(function) is not Named or type(given) is not tuple or function.made is _subclass:
        raise FileRefused("damaged: a tensor is not made by one of torch's functions")
    return function.made(given)


def _odd(kind: str) -> Callable[[tuple[Any, ...]], PickledTensor]:
    return lambda _: PickledTensor(None, 0, (), (), kind)


def _dictionary(arguments: tuple[Any, ...]) -> dict[Any, Any]:
    """An OrderedDict, defaultdict or Counter: empty, or of what Counter counted; Python 2 gives pairs."""
    given = arguments[-1] if arguments else None
    if type(given) is dict:
        return given
    if type(given) is not list:
        return {}
    if not all(type(pair) in (list, tuple) and len(pair) == 2 for pair in given):
        raise FileRefused("damaged: a dictionary is not made of pairs")
    made = {dictionary_key(key): value for key, value in given}
    given.clear()  # who would have it made over and over again gets nothing more
    return made


def _size(arguments: tuple[Any, ...]) -> tuple[int, ...]:
    (given,) = arguments
    return _sizes(tuple(given) if type(given) is list and len(given) <= MOST_AXES else given)


_DTYPES = ("float", "bfloat", "complex", "int", "uint", "bool", "half", "double", "long", "short", "bits", "q")
_MADE: dict[str, Callable[[tuple[Any, ...]], Any]] = {
    "collections.OrderedDict": _dictionary,
    "collections.defaultdict": _dictionary,
    "collections.Counter": _dictionary,
    "builtins.dict": _dictionary,
    "torch.Size": _size,
    "torch._utils._rebuild_tensor": _tensor,
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch._utils._rebuild_tensor_v3": _typed_tensor,
    "torch._utils._rebuild_parameter": _parameter,
    "torch._utils._rebuild_parameter_with_state": _parameter,
    "torch.nn.parameter.Parameter": _parameter,
    "torch._tensor._rebuild_from_type_v2": _subclass,
    "torch._utils._rebuild_sparse_tensor": _odd("sparse"),
    "torch._utils._rebuild_sparse_csr_tensor": _odd("sparse"),
    "torch._utils._rebuild_nested_tensor": _odd("nested"),
    "torch._utils._rebuild_qtensor": _odd("quantised"),
    "torch._utils._rebuild_meta_tensor_no_storage": _odd("meta"),
    "torch._utils._rebuild_wrapper_subclass": _odd("wrapped"),
    "torch._utils._rebuild_device_tensor_from_numpy": _odd("numpy-backed"),
    "torch._utils._rebuild_device_tensor_from_cpu_tensor": _odd("device-backed"),
}
_NAMED = {name: Named(name, made) for name, made in _MADE.items()}
_PLAIN = ("set", "frozenset", "list", "tuple", "int", "float", "str", "bool", "object", "slice", "complex", "bytearray")
_PATHS = ("Path", "PosixPath", "PurePosixPath", "WindowsPath", "PureWindowsPath")
_PYTHON_2 = {"__builtin__": "builtins", "copy_reg": "copyreg"}  # names that pickles of protocol 2 use, too
_INERT = {  # by module
    "argparse": ("Namespace",),
    "types": ("SimpleNamespace",),
    "typing": ("Any", "Union", "Optional"),  # in the configurations of omegaconf
    "copyreg": ("_reconstructor",),
    "_codecs": ("encode",),
    "builtins": (*_PLAIN, "unicode", "long"),
    "collections": ("deque",),
    "pathlib": _PATHS,
    "pathlib._local": _PATHS,
    "datetime": ("datetime", "date", "timedelta", "timezone"),
    "numpy": ("dtype", "ndarray", "float64", "float32", "float16", "int64", "int32", "bool_", "bool"),
    "numpy.core.multiarray": ("scalar", "_reconstruct"),
    "numpy._core.multiarray": ("scalar", "_reconstruct"),
    "numpy.core.numeric": ("_frombuffer",),
    "numpy._core.numeric": ("_frombuffer",),
    "numpy.dtypes": ("Float64DType", "Float32DType", "Int64DType", "Int32DType"),
    "torch": (
        *("device", "Tensor", "Generator", "strided", "sparse_coo", "sparse_csr", "per_tensor_affine"),
        *("per_tensor_symmetric", "per_channel_affine", "per_channel_symmetric", "per_channel_affine_float_qparams"),
        *("contiguous_format", "channels_last", "preserve_format"),
    ),
    "torch.nn.parameter": ("Buffer",),
    "torch.serialization": ("_get_layout",),
}
_INERT_PACKAGES = frozenset(("omegaconf", "pytorch_lightning", "lightning", "lightning_fabric", "easydict", "addict"))
