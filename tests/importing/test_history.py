"""The history of a repository becomes a run, and runs nothing of the repository's."""

import os
import shutil
import subprocess

import numpy as np
import pytest
import torch

from zoo_pipeline.cli import main
from zoo_pipeline.errors import StoreError
from zoo_pipeline.importing.history import History
from zoo_pipeline.zoo import Zoo

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="needs git")


class Repository:
    """One in a folder, with a file that holds one weight."""

    def __init__(self, path) -> None:
        self.path = path
        path.mkdir()
        self("init", "-q", "-b", "main")

    def __call__(self, *words: str, stdin: bytes | None = None) -> str:
        names = {"NAME": "a", "EMAIL": "a@a"}
        who = {f"GIT_{kind}_{key}": value for kind in ("AUTHOR", "COMMITTER") for key, value in names.items()}
        done = subprocess.run(
            ["git", "-C", str(self.path), *words],
            env={**os.environ, **who, "GIT_CONFIG_GLOBAL": os.devnull},
            check=True,
            capture_output=True,
            input=stdin,
        )
        return done.stdout.decode().strip()

    def commit(self, value: float) -> None:
        """A version of net.pt."""
        torch.save({"weight": torch.tensor([[value]])}, self.path / "net.pt")
        self("add", ".")
        self("commit", "-qm", str(value))


@pytest.fixture
def repository(tmp_path):
    made = Repository(tmp_path / "repository")
    for value in (1.0, 2.0, 3.0):
        made.commit(value)
    return made


def values(repository, out) -> list[float]:
    words = ["--git", str(repository.path), "--path", "*.pt", "--out", str(out), "--executor", "inline"]
    assert main(["import", *words]) == 0
    zoo = Zoo(str(out))
    assert zoo.checkpoints()["epoch"].to_pylist() == list(range(len(zoo.checkpoints())))
    return zoo.weights()[:, 0].tolist()


def test_every_version_is_imported_in_order(repository, tmp_path):
    repository("rm", "-q", "net.pt")
    repository("commit", "-qm", "remove it")
    assert values(repository, tmp_path / "run") == [1.0, 2.0, 3.0]
    assert Zoo(str(tmp_path / "run")).models["name"].to_pylist() == ["net.pt"]


def test_branches_that_were_merged_away_and_others_are_imported(repository, tmp_path):
    repository("checkout", "-qb", "side", "HEAD~1")
    repository.commit(10.0)
    repository("checkout", "-q", "main")
    repository("merge", "-q", "-s", "ours", "-m", "away", "side")
    repository("checkout", "-qb", "other")
    repository.commit(20.0)
    repository("checkout", "-q", "main")
    repository("config", "log.showRoot", "false")
    assert sorted(values(repository, tmp_path / "run")) == [1.0, 2.0, 3.0, 10.0, 20.0]


def test_a_run_may_lie_in_the_repository(repository):
    np.testing.assert_array_equal(values(repository, repository.path / "runs"), [1.0, 2.0, 3.0])


@pytest.fixture
def program(tmp_path):
    """A program that leaves a mark, and the mark."""
    marker, program = tmp_path / "ran", tmp_path / "evil.sh"
    program.write_text(f"#!/bin/sh\ntouch {marker}\nexit 1\n")
    program.chmod(0o755)
    return program, marker


def test_no_program_of_a_repository_checks_signatures(repository, program):
    evil, marker = program
    head, _, text = repository("cat-file", "commit", "HEAD").partition("\n\n")
    signature = "gpgsig -----BEGIN PGP SIGNATURE-----\n \n x\n -----END PGP SIGNATURE-----"
    forged = f"{head}\n{signature}\n\n{text}\n".encode()
    name = repository("hash-object", "-t", "commit", "-w", "--stdin", stdin=forged)
    repository("update-ref", "refs/heads/main", name)
    repository("config", "log.showSignature", "true")
    repository("config", "gpg.program", str(evil))
    subprocess.run(["git", "-C", str(repository.path), "log"], check=False, capture_output=True)
    assert marker.exists()  # so it does by itself
    marker.unlink()
    assert len(History("r", str(repository.path), "*.pt").names()) == 3
    assert not marker.exists()


def test_no_program_of_a_repository_fetches_what_is_missing(repository, program):
    evil, marker = program
    blob = repository("rev-parse", "HEAD:net.pt")
    (repository.path / ".git/objects" / blob[:2] / blob[2:]).unlink()
    for key, value in (
        ("core.repositoryformatversion", "1"),
        ("extensions.partialClone", "origin"),
        ("remote.origin.url", str(repository.path)),
        ("remote.origin.uploadpack", str(evil)),
        ("remote.origin.promisor", "true"),
    ):
        repository("config", key, value)
    subprocess.run(["git", "-C", str(repository.path), "cat-file", "blob", blob], check=False, capture_output=True)
    assert marker.exists()  # so it does by itself
    marker.unlink()
    history = History("r", str(repository.path), "*.pt")
    with pytest.raises(StoreError):
        history.read(sorted(history.names())[-1])
    assert not marker.exists()
