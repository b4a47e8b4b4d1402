"""Faults of remote stores: which of them pass by waiting, what they are in words, and what to do about the others.

Drivers wrap what their libraries raise, so an error is looked at together with its causes.
"""

import errno
from collections.abc import Iterator

from zoo_pipeline.store.options import redacted

# All that is ever retried, and nothing else. Codes are S3's, and HTTP's where an answer has no body.
TRANSIENT_CODES = frozenset(
    {
        "InternalError", "InternalFailure", "ServiceUnavailable", "SlowDown", "Throttling", "ThrottlingException",
        "RequestThrottled", "TooManyRequests", "TooManyRequestsException", "RequestTimeout", "RequestTimeoutException",
        "IncompleteBody", "OperationAborted",
        "NoSuchUpload",  # of a file in parts: it has ended, perhaps well; asking again tells
        "ConditionalRequestConflict",  # somebody writes or removes the same name at this moment: ask again who won
        "408", "429", "500", "502", "503", "504",
    }
)  # fmt: skip
# Names of classes, of builtins and of libraries that need not be installed (botocore, aiohttp, fsspec, http.client).
TRANSIENT_ERRORS = frozenset(
    {
        "ConnectionError",  # reset, refused, broken pipe
        "TimeoutError", "FSTimeoutError", "ServerTimeoutError",
        "HTTPClientError",  # botocore: the endpoint cannot be reached, closes the connection, does not answer in time
        "ClientConnectionError", "ClientPayloadError", "IncompleteRead", "IncompleteReadError",
        "ResponseStreamingError",
        "ResponseParserError",  # half an answer, or a gateway's page in place of one
        "gaierror",  # no name service, as while a network comes back
    }
)  # fmt: skip
_LASTING = "CERTIFICATE_VERIFY_FAILED"  # comes as an error of the connection, and stays

# Of the system's own errors, those that say nothing about the file: it could not be looked at, and may be sound.
_UNSEEN = frozenset(
    {errno.EACCES, errno.EPERM, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN, errno.ESTALE, errno.ETIMEDOUT}
)

_TAKEN = ("PreconditionFailed", "412")
_RENEW = "renew the credentials, and go on by --resume"
_CHECK = "check the credentials (AWS_PROFILE, AWS_ACCESS_KEY_ID and so on, or --storage-option)"
_ADVICE = {
    "ExpiredToken": _RENEW, "ExpiredTokenException": _RENEW, "TokenRefreshRequired": _RENEW, "RequestExpired": _RENEW,
    "InvalidAccessKeyId": _CHECK, "SignatureDoesNotMatch": _CHECK, "InvalidToken": _CHECK,
    "NoCredentialsError": _CHECK, "PartialCredentialsError": _CHECK, "ProfileNotFound": _CHECK,
    "AccessDenied": "ask for the right to list, get, put and delete there, or " + _CHECK,
    "403": "ask for the right to list, get, put and delete there, or " + _CHECK,
    "400": "expired credentials are told so, too: renew them, and go on by --resume",
    "NoSuchBucket": "make the bucket, or correct its name",
}  # fmt: skip


def is_transient(error: BaseException) -> bool:
    """Whether the same call may well succeed a little later."""
    if _LASTING in str(error):
        return False
    return any(
        code_of(each) in TRANSIENT_CODES or not TRANSIENT_ERRORS.isdisjoint(_kinds(each)) for each in _causes(error)
    )


def is_unseen(error: BaseException) -> bool:
    """Whether the system could not look at a file of this machine, which is no damage of it."""
    return isinstance(error, OSError) and error.errno in _UNSEEN


def is_taken(error: BaseException) -> bool:
    """Whether a name was to be created and is there already, however the server tells that."""
    return isinstance(error, FileExistsError) or any(code_of(each) in _TAKEN for each in _causes(error))


def is_unknown(error: BaseException) -> bool:
    """Whether the server says that it knows no such request."""
    return any(code_of(each) in ("NotImplemented", "501") for each in _causes(error))


def is_absent(error: BaseException) -> bool:
    """Whether it is the file that is missing, and not its bucket."""
    return isinstance(error, FileNotFoundError) and all(code_of(each) != "NoSuchBucket" for each in _causes(error))


def advice(error: BaseException) -> str:
    """What to do about an error that waiting does not help; empty where nothing is known."""
    for each in _causes(error):
        for key in (code_of(each), *_kinds(each)):
            if key in _ADVICE:
                return _ADVICE[key]
    return ""


def reason(error: BaseException) -> str:
    """What went wrong, in the system's words, on one line and without secrets."""
    words = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return redacted(" ".join(str(words).split()))


def code_of(error: BaseException) -> str:
    """What a server called one error: S3's code, or HTTP's as text; empty where it did not come from a server."""
    response = getattr(error, "response", None)
    if isinstance(response, dict):
        return str((response.get("Error") or {}).get("Code", ""))
    status = getattr(error, "status", None) or getattr(error, "code", None)
    return str(status) if isinstance(status, int) else ""


def _causes(error: BaseException) -> Iterator[BaseException]:
    """An error, what it was made of, and so on."""
    seen = set[int]()
    following: BaseException | None = error
    while following is not None and id(following) not in seen:
        seen.add(id(following))
        yield following
        following = following.__cause__


def _kinds(error: BaseException) -> list[str]:
    return [kind.__name__ for kind in type(error).__mro__]
