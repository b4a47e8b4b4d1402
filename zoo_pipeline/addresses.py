"""Addresses of places, as users write them."""

import re

_PASSWORD = re.compile(r"://[^/]*:[^/]*@")
_SIGNED = re.compile(r"://.*[?&](x-amz-|x-goog-|sig=|signature=|token=|access_?token=|key=|password=)", re.IGNORECASE)


def is_uri(address: str) -> bool:
    """Whether an address names a store, as s3://bucket/run does, and not a path of this machine."""
    return "://" in address


def holds_secret(address: str) -> bool:
    """Whether an address lets whoever reads it in: by a password in it, or by a signature.

    >>> holds_secret("s3://me:secret@bucket/x.npz"), holds_secret("https://host/x.npz?X-Amz-Signature=1")
    (True, True)
    >>> holds_secret("s3://bucket/user@host/x.npz"), holds_secret("https://host/x.npz?download=true")
    (False, False)
    """
    return bool(_PASSWORD.search(address) or _SIGNED.search(address))
