import io

import numpy as np
import pytest

from zoo_pipeline.formats import FileRefused, read_shapes, read_state


def npy(array, **options) -> bytes:
    file = io.BytesIO()
    np.save(file, array, **options)
    return file.getvalue()


def npz(save=np.savez, **arrays) -> bytes:
    file = io.BytesIO()
    save(file, **arrays)
    return file.getvalue()


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_arrays_come_back_by_name_and_to_the_bit(save):
    arrays = {
        "w": np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32),
        "fortran": np.asfortranarray(np.arange(6, dtype=np.float32).reshape(2, 3)),
        "half": np.array([1.5, -0.1], np.float16),
        "double": np.array([[1.1], [np.inf]]),
        "big": np.array([1.0, 2.5], ">f4"),
        "scalar": np.float32(7),
    }
    data = npz(save, **arrays, count=np.arange(3), words=np.array(["a"]))
    state = read_state(data, "a.npz")
    assert list(state.tensors) == list(arrays)
    for name, array in arrays.items():
        assert state.tensors[name].tobytes() == array.astype("<f4").tobytes()
        assert state.tensors[name].shape == array.shape
        assert state.tensors[name].flags.c_contiguous
    assert state.left_out == {"count": "int64, no floating point", "words": "text, no floating point"}
    assert read_shapes(data, "a.npz") == tuple((name, array.shape) for name, array in arrays.items())


def test_shapes_are_read_without_the_values():
    data = npz(a=np.arange(100, dtype=np.float32))
    damaged = data.replace(np.float32(50).tobytes(), np.float32(51).tobytes())
    assert read_shapes(damaged, "a.npz") == (("a", (100,)),)
    with pytest.raises(FileRefused, match=r"damaged: record a\.npy has another CRC32"):
        read_state(damaged, "a.npz")


def test_one_array_is_named_weights():
    state = read_state(npy(np.arange(5.0)), "a.npy")
    assert state.tensors["weights"].tolist() == [0, 1, 2, 3, 4]
    assert state.tensors["weights"].dtype == np.float32


class Bomb:
    def __reduce__(self):
        return (pytest.fail, ("a pickle was loaded",))


def test_pickled_objects_are_never_loaded():
    objects = np.array([Bomb()], dtype=object)
    state = read_state(npz(a=np.ones(2), b=objects), "a.npz")
    assert list(state.tensors) == ["a"]
    assert state.left_out == {"b": "object, no floating point"}
    with pytest.raises(FileRefused, match="no floating-point tensor"):
        read_state(npy(objects), "a.npy")


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ({"descr": "<f4", "fortran_order": False, "shape": (1 << 40,)}, "truncated: array weights has fewer bytes"),
        ({"descr": "<f4", "fortran_order": False, "shape": (1 << 62, 1 << 62)}, "truncated: array weights has fewer"),
        ({"descr": "<f4", "fortran_order": False, "shape": (-1,)}, "damaged: array weights has no sane shape"),
        ({"descr": "<f4", "fortran_order": False, "shape": (1,) * 65}, "damaged: array weights has no sane shape"),
        ({"descr": "<c8", "fortran_order": False, "shape": (1,)}, "complex64 tensor weights"),
        ({"descr": [("a", "<f4")], "fortran_order": False, "shape": (1,)}, "no floating-point tensor"),
        ({"descr": "<f4", "fortran_order": False}, "truncated: array weights has no header that can be read"),
        ({"descr": "?!", "fortran_order": False, "shape": ()}, "truncated: array weights has no header"),
    ],
)
def test_headers_that_are_wrong_are_refused(header, message):
    text = repr(header).encode().ljust(118) + b"\n"
    data = b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + bytes(16)
    with pytest.raises(FileRefused) as caught:
        read_state(data, "a.npy")
    assert str(caught.value).startswith(message)
    assert len(str(caught.value).splitlines()) == 1
