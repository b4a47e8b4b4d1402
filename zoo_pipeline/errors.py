"""The errors that a user can cause: one line each that says what, where, got, expected and what to do."""


class ZooError(Exception):
    """Base of all errors shown to a user as one line, with exit code 2."""


class ConfigError(ZooError):
    """A configuration that cannot be run."""


class DataError(ZooError):
    """A dataset that is missing, damaged or not the one that was planned."""


class StoreError(ZooError):
    """A run directory or bag that cannot be read or written."""


class UnfinishedError(ZooError):
    """Work that Ray gave up on, because its worker died as often as it was begun again."""


class UnreachableError(StoreError):
    """A remote store does not answer, or refuses; says nothing about what lies there."""
