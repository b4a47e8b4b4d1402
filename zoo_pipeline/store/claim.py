"""Claims: of the commands that would make one analysis at the same time, one does; the others wait, or are refused."""

import fcntl
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path

from zoo_pipeline.errors import ConfigError, StoreError
from zoo_pipeline.store.analyses import analysis_exists
from zoo_pipeline.store.filesystem import Files
from zoo_pipeline.store.rundir import ANALYSIS

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_ATTEMPTS = 100  # to get hold of a file that others make and remove
_LOOKS_EACH_S = 0.5  # whoever waits for another command


@contextmanager
def claimed(files: Files, name: str, *, overwrite: bool, wait: Callable[[], None] | None = None) -> Iterator[bool]:
    """Be the only command that makes the analysis of this name here, for as long as the block runs.

    On a local disk this is a lock of the system's, which ends with the process, however that ends. Object stores, and
    places that this process may not write to, have no such locks: nothing is claimed there.

    Args:
        files: where it is to lie.
        name: of the analysis.
        overwrite: whether it may replace one that is there.
        wait: called where another command makes it now, which is then waited for; None: this one is refused.

    Yields:
        Whether another command has made it while this one waited.

    Raises:
        ConfigError: the name is none.
        StoreError: another command makes it now, or it is there already and not to be replaced.
    """
    if not _NAME.fullmatch(name):
        raise ConfigError(f"--name {name}: expected letters, digits, '.', '_' and '-', such as default")
    files.check_folder(ANALYSIS)
    with _locked(files, name, wait) if files.local else nullcontext(None) as waited:
        if analysis_exists(files, name) and not overwrite:
            raise StoreError(
                f"{files.root}: already has an analysis {name}; use another --name, or --overwrite to replace it"
            )
        yield waited is not None and analysis_exists(files, name) and _summary(files, name) != waited


@contextmanager
def _locked(files: Files, name: str, wait: Callable[[], None] | None) -> Iterator[bytes | None]:
    """Hold the lock; yields None, or where another held it, the summary that was there when this one came."""
    file = Path(files.at(f"{ANALYSIS}/.{name}.tmp")).absolute()  # readers skip such names
    made = [folder for folder in file.parents if not folder.exists()]
    try:
        descriptor = _lock(file)
        waited = None
        if descriptor is None:
            if wait is None:
                busy = f"{files.root}: another command is making the analysis {name} there"
                raise StoreError(f"{busy}; wait for it, or use another --name")
            waited = _summary(files, name)
            wait()
            while (descriptor := _lock(file)) is None:
                time.sleep(_LOOKS_EACH_S)
        try:
            yield waited
        finally:
            if descriptor >= 0:
                file.unlink(missing_ok=True)  # before it is let go, so that nobody waits for a file without a name
                os.close(descriptor)
    finally:
        for folder in made:  # whoever is refused, or fails, leaves nothing
            with suppress(OSError):
                folder.rmdir()


def _summary(files: Files, name: str) -> bytes:
    """The bytes of an analysis' summary; none of one that is not there, or not whole yet."""
    try:
        return files.read(f"{ANALYSIS}/{name}/summary.json")
    except StoreError:  # a damaged one is nobody's
        return b""


def _lock(file: Path) -> int | None:
    """Lock a file that is made where it is missing: its descriptor; −1 where that cannot be; None where it is taken."""
    for _ in range(_ATTEMPTS):
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(file, os.O_RDWR | os.O_CREAT)
        except FileNotFoundError:
            continue  # somebody who was done removed the folder in between, or no folder can be made there
        except OSError:
            return -1  # who writes there will tell
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        except OSError:  # a network disk without locks
            os.close(descriptor)
            file.unlink(missing_ok=True)
            return -1
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(descriptor), file.stat()):
                return descriptor
        os.close(descriptor)  # whoever held it was done, and removed it
    return -1
