"""The history of a git repository as an origin: every version of every matching file."""

import os
import subprocess
from dataclasses import dataclass
from functools import cached_property

from zoo_pipeline.errors import StoreError
from zoo_pipeline.importing.names import Claim

_TIMEOUT_S = 600.0
_POINTER = b"version https://git-lfs.github.com/spec/"
# No configuration of the repository may start programs, and nothing may ask for a password.
_SAFE = ("-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null", "-c", "protocol.ext.allow=never")


@dataclass(frozen=True)
class History:
    """The versions of files in a git repository, oldest first.

    A version's name is `PATH@NUMBER-DATE-COMMIT`; that it is the state NUMBER of something called PATH is a claim.

    Attributes:
        given: the repository, as the user names it.
        path: of the repository.
        pattern: of the files, as git has it: `weights.pt`, `runs/*.pt`.
    """

    given: str
    path: str
    pattern: str

    def names(self) -> dict[str, int]:
        """As `FileOrigin` says; the sizes are not known beforehand."""
        return dict.fromkeys(self._versions, 0)

    def claim(self, name: str) -> Claim:
        """The file's path as the model, and the number of its version as the epoch."""
        path, _, version = name.rpartition("@")
        return Claim(path, int(version.partition("-")[0]))

    def read(self, name: str) -> bytes:
        """As `FileOrigin` says."""
        data = self._git("cat-file", "blob", self._versions[name])
        if data.startswith(_POINTER):
            raise StoreError("a pointer of Git LFS, whose file is elsewhere; git lfs fetch --all, and name its folder")
        return data

    @cached_property
    def _versions(self) -> dict[str, str]:
        """Blobs by the names of the versions."""
        log = self._git(
            "log", "--reverse", "--no-renames", "--raw", "--no-abbrev", "--diff-filter=AM", "-z",
            "--format=%x01%H %cI", "--", self.pattern,
        )  # fmt: skip
        found: dict[str, str] = {}
        numbers: dict[str, int] = {}
        commit = date = ""
        fields = iter(log.decode(errors="surrogateescape").split("\0"))
        for field in fields:
            text = field.strip("\n")
            if text.startswith("\1"):
                commit, _, date = text[1:].partition(" ")
                commit, date = commit[:12], date.partition("\n")[0].strip()
                continue
            if text.startswith(":"):
                blob, path = text.split(" ")[3], next(fields, "")
                number = numbers[path] = numbers.get(path, -1) + 1
                found[f"{path}@{number:06d}-{date}-{commit}"] = blob
        if not found:
            raise StoreError(f"--git {self.given} --path {self.pattern}: no commit has such a file")
        return found

    def _git(self, *words: str) -> bytes:
        command = ["git", *_SAFE, "-C", self.path, *words]
        environment = {**os.environ, "GIT_TERMINAL_PROMPT": "0", "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"}
        try:
            done = subprocess.run(command, env=environment, capture_output=True, timeout=_TIMEOUT_S, check=False)
        except FileNotFoundError:
            raise StoreError(f"--git {self.given}: needs the program git; install it") from None
        except subprocess.TimeoutExpired:
            raise StoreError(f"--git {self.given}: git did not answer within {_TIMEOUT_S:.0f} s") from None
        if done.returncode:
            reason = " ".join(done.stderr.decode(errors="replace").split())[:200]
            raise StoreError(f"--git {self.given}: {reason or 'git failed'}")
        return done.stdout
