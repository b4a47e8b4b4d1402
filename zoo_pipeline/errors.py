"""The errors that a user can cause: one line each that says what, where, got, expected and what to do."""

from zoo_pipeline.addresses import without_secrets

_MOST_CHARACTERS = 2_000  # of a line; what is longer loses its middle


class ZooError(Exception):
    """Base of all errors shown to a user as one line, with exit code 2; every further argument is another line.

    Names and values that a line quotes may hold anything: what a terminal would not print but obey is written as an
    escape sequence, line breaks among it, and the middle of what is far too long is left out; so are the secrets of
    addresses.
    """

    def __str__(self) -> str:
        return "\n".join(_line(str(argument)) for argument in self.args)


class ConfigError(ZooError):
    """A configuration that cannot be run."""


class DataError(ZooError):
    """A dataset that is missing, damaged or not the one that was planned."""


class StoreError(ZooError):
    """A run directory or bag that cannot be read or written."""


class UnfinishedError(ZooError):
    """Work that Ray gave up on, because its worker died as often as it was begun again."""


class UnreachableError(StoreError):
    """A store does not answer or refuses, or the system cannot look; says nothing about what lies there."""


def _line(text: str) -> str:
    """Text as one printable line.

    >>> print(_line("a" + chr(27) + "[2J" + chr(10) + "b"))
    a\\x1b[2J\\nb
    """
    text = without_secrets(text)
    if len(text) > _MOST_CHARACTERS:
        text = f"{text[: _MOST_CHARACTERS // 2]} … {text[-_MOST_CHARACTERS // 2 :]}"
    return text if text.isprintable() else "".join(sign if sign.isprintable() else ascii(sign)[1:-1] for sign in text)
