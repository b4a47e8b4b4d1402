import errno
import os
import subprocess
import sys
import threading
import uuid
from pathlib import Path

import pytest

from zoo_pipeline.errors import StoreError
from zoo_pipeline.store.filesystem import Files


@pytest.fixture(params=["local", "memory"])
def files(request, tmp_path) -> Files:
    return Files(str(tmp_path / "run") if request.param == "local" else f"memory://{uuid.uuid4().hex}/run")


def test_the_first_to_publish_wins_and_nothing_is_overwritten(files):
    assert files.publish("folder/a.bin", b"first") is True
    assert files.publish("folder/a.bin", b"second") is False
    assert files.read("folder/a.bin") == b"first"
    assert files.names("folder") == ["a.bin"]
    assert files.names() == ["folder"]


def test_replace_puts_new_content_in_place_of_old(files):
    files.replace("a.json", b"old")
    files.replace("a.json", b"new")
    assert files.read("a.json") == b"new"
    assert files.names() == ["a.json"]


def test_what_is_absent_is_named(files):
    assert files.names("nothing") == []
    assert not files.exists("nothing")
    with pytest.raises(StoreError, match=r"has no spec\.json"):
        files.read("spec.json")


def test_of_many_that_publish_at_once_exactly_one_wins(tmp_path):
    files = Files(str(tmp_path))
    start = threading.Barrier(8)
    won = []

    def attempt(number: int) -> None:
        start.wait()
        if files.publish("shard", bytes([number]) * 100_000):
            won.append(number)

    threads = [threading.Thread(target=attempt, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1
    assert files.read("shard") == bytes(won) * 100_000
    assert listed(tmp_path) == ["shard"]  # no temporary file is left


def listed(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


@pytest.mark.parametrize("method", ["publish", "replace"])
@pytest.mark.parametrize("failing", ["fsync", "link", "replace"])
def test_a_failing_disk_leaves_nothing_behind(tmp_path, monkeypatch, method, failing):
    files = Files(str(tmp_path))

    def full(*args):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    if failing == "replace":
        monkeypatch.setattr(Path, "replace", full)
    else:
        monkeypatch.setattr(os, failing, full)
    if (failing, method) in {("link", "replace"), ("replace", "publish")}:
        getattr(files, method)("a", b"x")  # does not use the broken call
        assert listed(tmp_path) == ["a"]
        return
    with pytest.raises(StoreError, match=r"a: cannot be written: No space left on device"):
        getattr(files, method)("a", b"x")
    assert listed(tmp_path) == []


def test_a_really_full_disk_gets_one_line(tmp_path):
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(tmp_path)], capture_output=True)
    if mounted.returncode:
        pytest.skip("mounting a small file system needs root")
    try:
        with pytest.raises(StoreError) as caught:
            Files(str(tmp_path)).publish("checkpoints/a", os.urandom(200_000))
        assert "No space left on device" in str(caught.value)
        assert len(str(caught.value).splitlines()) == 1
        assert listed(tmp_path / "checkpoints") == []
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)


def test_a_writer_killed_in_the_middle_leaves_no_final_name(tmp_path):
    code = (
        "import os, signal, sys; from zoo_pipeline.store.filesystem import Files\n"
        "os.fsync = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
        "Files(sys.argv[1]).publish('a', b'x' * 1000)"
    )
    killed = subprocess.run([sys.executable, "-c", code, str(tmp_path)])
    assert killed.returncode == -9
    assert Files(str(tmp_path)).names() == []
    assert Files(str(tmp_path)).publish("a", b"y") is True


@pytest.mark.parametrize("root", ["nosuch://bucket/run", "/dev/null/run"])
def test_places_that_cannot_be_written_get_one_line(root):
    with pytest.raises(StoreError) as caught:
        Files(root).publish("a", b"x")
    assert len(str(caught.value).splitlines()) == 1
