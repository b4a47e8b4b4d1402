"""Checkpoint files for tests, as torch writes them and as nobody should."""

import io
import zipfile

import torch
from torch import nn


def saved(content, **options) -> bytes:
    file = io.BytesIO()
    torch.save(content, file, **options)
    return file.getvalue()


def old(content) -> bytes:
    """In the format of before PyTorch 1.6."""
    return saved(content, _use_new_zipfile_serialization=False)


def loaded(data: bytes):
    return torch.load(io.BytesIO(data), weights_only=True)


def network(seed: int = 0) -> nn.Module:
    """2,464 parameters in ten tensors."""
    torch.manual_seed(seed)
    convolutions = (nn.Conv2d(1, 8, 5), nn.Conv2d(8, 6, 5), nn.Conv2d(6, 4, 2))  # of images of 12 × 12 pixels
    return nn.Sequential(*convolutions, nn.Flatten(), nn.Linear(36, 20), nn.Linear(20, 10))


def rezipped(data: bytes, method: int = zipfile.ZIP_DEFLATED, **changed: bytes) -> bytes:
    """An archive written anew by another program; `data_pkl=…` and `data_0=…` replace records, b"" leaves one out."""
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as before, zipfile.ZipFile(file, "w", method) as after:
        for name in before.namelist():
            inner = name.partition("/")[2]
            content = changed.get(inner.replace(".", "_").replace("/", "_"), before.read(name))
            if content:
                after.writestr(name, content)
    return file.getvalue()


def with_pickle(pickle: bytes) -> bytes:
    """A checkpoint of torch's whose pickle is another one."""
    return rezipped(saved({"a": torch.arange(6.0)}), zipfile.ZIP_STORED, data_pkl=pickle)
