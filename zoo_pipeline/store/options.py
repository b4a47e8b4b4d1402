"""Storage options: what drivers of remote stores are told besides the address, such as an endpoint or credentials.

They hold for a process. They are never written into a file, and no message shows them: Ray's tasks carry them in their
arguments (an environment of Ray's would stand in its dashboard), and their text form hides all values.
"""

import json
import os
from collections.abc import Mapping, Sequence
from typing import Any

from zoo_pipeline.errors import ConfigError

HIDDEN = "***"
# Values of these may be read by anybody; all others are taken for secrets.
_HARMLESS = {"anon", "endpoint_url", "profile", "requester_pays", "use_ssl", "version_aware"}
_SECRET_VARIABLES = ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
_LEAST_SECRET = 4  # characters: shorter ones would blank words that only look alike


class StorageOptions:
    """Keyword arguments of an fsspec filesystem; all addresses of the process that are not local get them.

    >>> StorageOptions({"key": "AKIA", "secret": "s3cr3t"})
    StorageOptions(key=***, secret=***)
    """

    def __init__(self, values: Mapping[str, Any]) -> None:
        self.values = dict(values)

    @classmethod
    def parse(cls, words: Sequence[str]) -> "StorageOptions":
        """Read KEY=VALUE: `true`, `false` and JSON objects as such, all else as text.

        Raises:
            ConfigError: a word is not of that form; the message does not show it, as it may be a secret.

        >>> StorageOptions.parse(["anon=true", "client_kwargs={\\"verify\\": false}", "key=12"]).values
        {'anon': True, 'client_kwargs': {'verify': False}, 'key': '12'}
        """
        values: dict[str, Any] = {}
        for number, word in enumerate(words, 1):
            key, sign, text = word.partition("=")
            if not sign or not key.isidentifier():
                raise ConfigError(f"--storage-option number {number}: expected KEY=VALUE, such as anon=true")
            values[key] = _value(key, text)
        return cls(values)

    def secrets(self) -> set[str]:
        """All values that no message may show."""
        found = set[str]()
        for key, value in self.values.items():
            if key not in _HARMLESS:
                found |= {text for text in _texts(value) if len(text) >= _LEAST_SECRET}
        return found

    def __repr__(self) -> str:
        return f"StorageOptions({', '.join(f'{key}={HIDDEN}' for key in self.values)})"


_used = StorageOptions({})


def use_storage_options(options: StorageOptions) -> None:
    """Let all stores that this process opens from now on have these options, and no others."""
    global _used
    _used = options


def storage_options() -> StorageOptions:
    """The options that hold now."""
    return _used


def redacted(text: str) -> str:
    """A text without the secrets that are in use."""
    secrets = _used.secrets() | {os.environ.get(name, "") for name in _SECRET_VARIABLES}
    for secret in sorted(secrets - {""}, key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    return text


def _value(key: str, text: str) -> Any:
    if text in ("true", "false"):
        return text == "true"
    if not text.startswith("{"):
        return text
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise ConfigError(f"--storage-option {key}: begins as a JSON object and is none") from None


def _texts(value: Any) -> set[str]:
    """The texts in a value, however deep."""
    if isinstance(value, dict):
        return set().union(*map(_texts, value.values()))
    return {value} if isinstance(value, str) else set()
