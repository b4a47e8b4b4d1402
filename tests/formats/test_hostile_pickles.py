import builtins
import io
import os
import pickle
import resource
import struct
import time
import zipfile
from collections import Counter

import numpy as np
import pytest
import torch
from checkpoint_files import old, saved, with_pickle

from zoo_pipeline.errors import StoreError
from zoo_pipeline.formats import FileRefused, pickles, read_shapes, read_state


class Runs:
    """Pickled as a call."""

    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


@pytest.fixture
def marker(tmp_path):
    """A file that is there as soon as a payload has run."""
    path = tmp_path / "ran"
    yield path
    assert not path.exists()


def refusal(data: bytes) -> str:
    messages = []
    for read in (read_state, read_shapes):
        with pytest.raises(StoreError) as caught:
            read(data, "a.pt")
        messages.append(str(caught.value))
        assert len(messages[-1].splitlines()) == 1
    assert messages[0] == messages[1]
    return messages[0]


@pytest.mark.parametrize("place", ["root", "value", "key", "list", "hyperparameters"])
@pytest.mark.parametrize("save", [saved, old, lambda content: with_pickle(pickle.dumps(content)), pickle.dumps])
def test_a_pickle_that_would_run_something_is_refused_and_runs_nothing(marker, save, place):
    bad = Runs(os.system, f"touch {marker}")
    content = {
        "root": bad,
        "value": {"a": torch.ones(1), "b": bad},
        "key": {"a": torch.ones(1), (bad,): 1},
        "list": {"a": torch.ones(1), "b": [[bad]]},
        "hyperparameters": {"state_dict": {"a": torch.ones(1)}, "hyper_parameters": {"c": bad}},
    }[place]
    if save is pickle.dumps or save not in (saved, old):
        content = content if place == "root" else {"b": [bad]}
    assert refusal(save(content)) == "refused: would run posix.system"


def test_the_payload_would_run_in_pickle_itself(tmp_path):
    pickle.loads(pickle.dumps(Runs(os.system, f"touch {tmp_path / 'ran'}")))
    assert (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("function", "name"),
    [
        (exec, "builtins.exec"),
        (eval, "builtins.eval"),
        (builtins.getattr, "builtins.getattr"),
        (builtins.__import__, "builtins.__import__"),
        (builtins.open, "io.open"),
        (torch.load, "torch.serialization.load"),
        (np.load, "numpy.load"),
        (os.remove, "posix.remove"),
    ],
)
def test_functions_are_refused_by_name(marker, function, name):
    call = f"open({str(marker)!r}, 'w')"
    assert refusal(saved({"a": torch.ones(1), "b": Runs(function, call)})) == f"refused: would run {name}"


def opcodes(*parts: bytes) -> bytes:
    return with_pickle(b"\x80\x02" + b"".join(parts) + b".")


SYSTEM = b"cposix\nsystem\n"


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ((SYSTEM, b"X\x01\x00\x00\x00x\x85R"), "refused: would run posix.system"),
        ((b"(X\x01\x00\x00\x00xiposix\nsystem\n",), "refused: would run posix.system"),  # INST
        ((b"(", SYSTEM, b"X\x01\x00\x00\x00xo"), "refused: would run posix.system"),  # OBJ
        ((b"\x8c\x05posix\x8c\x06system\x93",), "refused: would run posix.system"),  # STACK_GLOBAL
        ((b"\x82\x01",), "refused: would look up what this process has registered with copyreg"),
        ((b"\x83\x01\x00",), "refused: would look up what this process has registered with copyreg"),
        ((b"\x84\x01\x00\x00\x00",), "refused: would look up what this process has registered with copyreg"),
        ((b"ctorch\nfoo.bar\n",), "refused: would run torch.foo.bar"),
        ((b"cnumpy.core.multiarray\nscalar\n", b"cposix\nsystem\n\x85R"), "refused: would run posix.system"),
        ((b"}r\xff\xff\xff\xff",), "no floating-point tensor"),  # a memo of 2³² entries: `pickle` would take 64 GiB
        ((b"\x96" + struct.pack("<Q", 1 << 40),), "truncated: "),  # BYTEARRAY8
        ((b"\x8e" + struct.pack("<Q", 1 << 63),), "truncated: "),  # BINBYTES8
        ((b"\x8d" + struct.pack("<Q", (1 << 64) - 1),), "truncated: "),  # BINUNICODE8
        ((b"\x95" + struct.pack("<Q", 1 << 62), b"N"), "not a checkpoint: it holds NoneType"),  # FRAME
        ((b"\x8b" + struct.pack("<I", 1 << 31),), "damaged: the pickle holds an integer of no sane size"),  # LONG4
        ((b"\x8a\xff" + b"\x7f" * 255,), "damaged: the pickle holds an integer of no sane size"),  # LONG1
        ((b"I1\n",), "damaged: the pickle has an unknown opcode"),
        ((b"h\x07",), "damaged: the pickle has an unknown opcode, or looks up what it never kept"),
        ((b"R",), "truncated: "),
        ((b"NNR",), "truncated: "),
        ((b"N)R",), "truncated: "),
        ((b"NNs",), "truncated: "),
        ((b"b",), "truncated: "),
        ((b"",), "truncated: "),
        ((b"X\x04\x00\x00\x00\xed\xa0\x80x",), "truncated: "),  # half of a surrogate pair
        ((b"}" + b"N" * 1_000,), "not a checkpoint"),
        ((b"N" + b"\x85" * 200_000,), "not a checkpoint: it holds tuple"),  # 200,000 tuples in each other
        ((b"(" * 100_000 + b"N" + b"l" * 10,), "damaged: "),
        ((b"]" + b"q\x00h\x00a" * 1_000,), "not a checkpoint: it holds list"),  # a list in itself
        ((b"}q\x00X\x01\x00\x00\x00ah\x00s",), "no floating-point tensor"),  # a dictionary in itself
        ((b"ctorch._utils\n_rebuild_tensor_v2\n)R",), "truncated: "),
        ((b"ctorch._utils\n_rebuild_tensor_v2\n(NNNNNNtR",), "damaged: a tensor's shape or strides are none"),
        ((b"ctorch\nFloatStorage\n)R",), "damaged: the pickle calls what is no function"),
        ((b"NQ",), "damaged: the pickle refers to something that is no storage"),
    ],
)
def test_pickles_by_hand_are_refused_with_one_line(parts, message):
    assert refusal(opcodes(*parts)).startswith(message)


def test_a_billion_laughs_take_no_time():
    doubled = b"]q\x00" + b"h\x00h\x00\x86q\x00" * 80  # a tuple of 2⁸⁰ leaves …
    started = time.process_time()
    refusal(opcodes(b"}", doubled, b"Ns"))  # … as a key, which would be hashed
    refusal(opcodes(b"}X\x01\x00\x00\x00a", doubled, b"s"))
    nested = b"}q\x00" + b"}(X\x01\x00\x00\x00ah\x00X\x01\x00\x00\x00bh\x00uq\x00" * 200
    refusal(opcodes(nested))
    wide = b"}q\x00(" + b"".join(text(b"%d" % number) + b"N" for number in range(20_000)) + b"u0"
    refusal(opcodes(wide, b"}(", *(text(b"%d" % number) + b"h\x00" for number in range(20_000)), b"u"))
    assert time.process_time() - started < 5  # of ages


def text(content: bytes) -> bytes:
    return b"X" + struct.pack("<I", len(content)) + content


def test_a_long_name_before_very_many_is_refused():
    tensor = b"ctorch._utils\n_rebuild_sparse_tensor\n)R"
    inner = b"}(" + b"".join(text(b"%d" % number) + tensor for number in range(50_000)) + b"u"
    message = refusal(opcodes(b"}", text(b"p" * 1_000_000), inner, b"s", text(b"q"), inner, b"s"))
    assert message.startswith("too large: a name of 1,000,000 characters")
    message = refusal(opcodes(b"}", text(b"p"), inner, b"s", text(b"q"), inner, b"s", text(b"r"), inner, b"s"))
    assert message.startswith("too large: a name of ")
    assert message.endswith("or more than 131,072 names")


def test_no_memory_is_taken_by_numbers_in_the_pickle():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    refusal(opcodes(b"}r\xff\xff\xff\x0f"))
    refusal(opcodes(b"\x96" + struct.pack("<Q", 1 << 32)))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # kB


def test_pickles_without_end_are_refused(monkeypatch):
    monkeypatch.setattr(pickles, "MOST_OPCODES", 1_000)
    assert refusal(opcodes(b"N" * 1_000)) == "too large: the pickle has more than 1,000 opcodes"


def tensor_of(shape: bytes, strides: bytes, offset: bytes = b"K\x00", count: bytes = b"K\x06") -> bytes:
    held = b"(X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpu" + count + b"tQ"
    made = b"ctorch._utils\n_rebuild_tensor_v2\n(" + held + offset + shape + strides + b"\x89NtR"
    return opcodes(b"}X\x01\x00\x00\x00a" + made + b"s")


def test_a_tensor_by_hand_is_read():
    state = read_state(tensor_of(b"K\x02K\x03\x86", b"K\x01K\x02\x86"), "a.pt")
    assert state.tensors["a"].tolist() == [[0, 2, 4], [1, 3, 5]]


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ((b"K\x07\x85", b"K\x01\x85"), "damaged: tensor a reaches beyond its storage of 6 elements"),
        ((b"K\x06\x85", b"K\x01\x85", b"K\x01"), "damaged: tensor a reaches beyond its storage of 6 elements"),
        ((b"K\x02\x85", b"K\x06\x85"), "damaged: tensor a reaches beyond its storage of 6 elements"),
        ((b"K\x64\x85", b"K\x00\x85"), "damaged: tensor a has more elements than its storage of 6"),
        ((b"J\xff\xff\xff\xff\x85", b"K\x01\x85"), "damaged: a tensor's shape or strides are none"),
        ((b"K\x02\x85", b"J\xff\xff\xff\xff\x85"), "damaged: a tensor's shape or strides are none"),
        ((b"K\x02\x85", b"K\x01\x85", b"J\xff\xff\xff\xff"), "damaged: a tensor has no storage, or no place in it"),
        ((b"K\x02\x85", b"K\x01K\x01\x86"), "damaged: a tensor has no storage, or no place in it"),
        ((b"\x88\x85", b"K\x01\x85"), "damaged: a tensor's shape or strides are none"),
        ((b"(" + b"K\x01" * 65 + b"t", b"(" + b"K\x01" * 65 + b"t"), "damaged: a tensor's shape or strides are none"),
        ((b"\x8a\x40" + b"\x7f" * 64 + b"\x85", b"K\x01\x85"), "damaged: tensor a reaches beyond its storage"),
        ((b"K\x07\x85", b"K\x01\x85", b"K\x00", b"K\x07"), "truncated: record data/0 is smaller than its 7 elements"),
        ((b"K\x02\x85", b"K\x01\x85", b"K\x00", b"J\xff\xff\xff\xff"), "damaged: the pickle refers to something"),
    ],
)
def test_tensors_out_of_bounds_are_refused(parts, message):
    with pytest.raises(FileRefused) as caught:
        read_state(tensor_of(*parts), "a.pt")
    assert str(caught.value).startswith(message)


def test_pickles_with_bytes_at_random_are_read_or_refused():
    tensors = {"a": torch.arange(6.0).view(2, 3).t(), "b": torch.nn.Parameter(torch.ones(())), "n": torch.tensor(1)}
    content = {"epoch": 3, "state_dict": tensors, "best": np.float64(0.5), "optimizer": {"state": {}, "lr": 0.1}}
    with zipfile.ZipFile(io.BytesIO(saved(content))) as archive:
        pickle_bytes = archive.read("archive/data.pkl")
        records = {name: archive.read(name) for name in archive.namelist() if name != "archive/data.pkl"}
    rng = np.random.default_rng(0)
    outcomes: Counter[bool] = Counter()
    for _ in range(3_000):
        changed = np.frombuffer(pickle_bytes, np.uint8).copy()
        at = rng.integers(len(changed), size=rng.integers(1, 4))
        changed[at] = rng.choice(
            np.frombuffer(b"\x00\x01(.0KMNQRXabcehioqrstu}]\x81\x85\x86\x8a\x93\xff", np.uint8), len(at)
        )
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr("archive/data.pkl", changed.tobytes())
            for name, record in records.items():
                archive.writestr(name, record)
        try:
            read_state(file.getvalue(), "a.pt")
        except StoreError:
            outcomes[False] += 1
        else:
            outcomes[True] += 1
    assert min(outcomes[True], outcomes[False]) > 100, outcomes
