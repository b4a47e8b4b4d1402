"""Checkpoint files of anybody's: bytes in, named tensors out; nothing that a file holds is ever run.

Needs NumPy alone. What a file says of itself is checked before memory is taken for it, and whatever is wrong with it is
a `FileRefused` of one line, which begins with the reason.
"""

from zoo_pipeline.formats.reading import SUFFIXES, read_shapes, read_state
from zoo_pipeline.formats.sharded import read_sharded
from zoo_pipeline.formats.state import FileRefused, State

__all__ = ["SUFFIXES", "FileRefused", "State", "read_shapes", "read_sharded", "read_state"]
