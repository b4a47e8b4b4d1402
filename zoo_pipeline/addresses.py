"""Secrets in addresses: a password before the host or bucket, or a signature in the query.

An address is shown wherever its place is named, and kept in files; so one with a secret is refused, and no message
shows the secret.
"""

import re
from collections.abc import Iterator
from typing import Any

_HIDDEN = "***"
_PLACE = r"(?<![A-Za-z0-9+.-])[A-Za-z][A-Za-z0-9+.-]*:/+"  # of one slash, too: the mistyped one holds the same secret
# A user's name alone is no secret: abfs://container@account names a place. Of http, host:8080/x@2 has a port.
_PASSWORD = re.compile(rf"((?!https?:){_PLACE}(?=[^\s/@:]*:)|https?:/+(?=[^\s/@:]*:(?!\d{{1,5}}/)))[^\s/@:]*:\S+@")
_WEB_USER = re.compile(r"(https?:/+)[^\s/@:]+@")
_QUERY = re.compile(rf"({_PLACE}[^\s?]*)\?[^\s\"']*=[^\s\"']*")
# X-Amz-Signature, AWSAccessKeyId, access_token, sig; not design, keyword or author.
_NAMES = r"token|credential|secret|signature|passw|(?:api|access|account)_?key|(?<![a-z])(?:sig|key|auth)(?![a-z])"
_SIGNED = re.compile(rf"{_PLACE}[^\s?]*\?(?:[^\s]*&)?[^\s=&]*(?:{_NAMES})[^\s=&]*=", re.IGNORECASE)


def holds_secret(text: str) -> bool:
    """Whether a text holds an address with a password or a signature.

    >>> holds_secret("s3://key:secret@bucket/x.npz"), holds_secret("https://host/x.npz?X-Amz-Signature=5f")
    (True, True)
    >>> holds_secret("https://host:8080/x@2.npz"), holds_secret("abfs://container@account/x.npz")
    (False, False)
    >>> holds_secret("https://host/x.npz?design=2&keyword=a"), holds_secret("https://host/x.npz?v=2&sig=5f")
    (False, True)
    """
    return bool(_PASSWORD.search(text) or _SIGNED.search(text))


def without_secrets(text: str) -> str:
    """A text with the passwords and queries of its addresses hidden, and of web addresses the users: some are tokens.

    >>> without_secrets("no s3://key:secret@bucket/x.npz, no https://host/x.npz?X-Amz-Signature=5f")
    'no s3://***@bucket/x.npz, no https://host/x.npz?***'
    """
    for hidden in (_PASSWORD, _WEB_USER):
        text = hidden.sub(rf"\1{_HIDDEN}@", text)
    return _QUERY.sub(rf"\1?{_HIDDEN}", text)


def secret_at(value: Any, path: str = "") -> str | None:
    """Dotted path of the first text with a secret in plain values; None where there is none."""
    if isinstance(value, str):
        return path if holds_secret(value) else None
    return next((found for key, each in _items(value) if (found := secret_at(each, f"{path}.{key}".lstrip(".")))), None)


def _items(value: Any) -> Iterator[tuple[Any, Any]]:
    if isinstance(value, dict):
        yield from value.items()
    elif isinstance(value, list):
        yield from enumerate(value)
