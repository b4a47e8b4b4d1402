"""The history of a git repository as an origin: every version of every matching file."""

import os
import subprocess
from dataclasses import dataclass
from functools import cached_property

from zoo_pipeline.errors import StoreError
from zoo_pipeline.importing.names import Claim
from zoo_pipeline.importing.stamps import Stamp

_TIMEOUT_S = 600.0
_POINTER = b"version https://git-lfs.github.com/spec/"
# No configuration of the repository may start programs, fetch anything, or change what is listed.
_SETTINGS = ("core.fsmonitor=false", "core.hooksPath=/dev/null", "log.showSignature=false", "log.showRoot=true")
_SAFE = tuple(word for setting in _SETTINGS for word in ("-c", setting))
_ENVIRONMENT = {
    "GIT_ALLOW_PROTOCOL": "none",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_OPTIONAL_LOCKS": "0",
    "LC_ALL": "C",
}


@dataclass(frozen=True)
class History:
    """The versions of files in a git repository, on all branches, oldest first; each content of a path once.

    A version's name is `PATH@NUMBER-DATE-COMMIT`; that it is the state NUMBER of something called PATH is a claim.

    Attributes:
        given: the repository, as the user names it.
        path: of the repository.
        pattern: of the files, as git has it: `weights.pt`, `runs/*.pt`.
    """

    given: str
    path: str
    pattern: str

    def names(self) -> dict[str, Stamp]:
        """As `FileOrigin` says; the sizes are not known beforehand, and contents never change."""
        return dict.fromkeys(self._versions, (0, 0))

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
        chosen = (
            "--all",
            "--full-history",
            "-m",
            "--reverse",
            "--no-renames",
            "--diff-filter=AM",
            "--no-show-signature",
        )
        log = self._git("log", *chosen, "--raw", "--no-abbrev", "-z", "--format=%x01%H %cI", "--", self.pattern)
        found: dict[str, str] = {}
        numbers: dict[str, int] = {}
        seen: set[tuple[str, str]] = set()
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
                if (path, blob) in seen:  # again by a merge, or taken back
                    continue
                seen.add((path, blob))
                number = numbers[path] = numbers.get(path, -1) + 1
                found[f"{path}@{number:06d}-{date}-{commit}"] = blob
        if not found:
            raise StoreError(f"--git {self.given} --path {self.pattern}: no commit has such a file")
        return found

    def _git(self, *words: str) -> bytes:
        command = ["git", *_SAFE, "-C", self.path, *words]
        environment = {**os.environ, **_ENVIRONMENT}
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
