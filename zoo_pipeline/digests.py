"""Hashes of plain values."""

import hashlib
import json
from typing import Any


def digest(value: Any) -> str:
    """sha256 (hex) of plain JSON types in canonical form."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
