import errno
import os
import shutil
import subprocess
import sys
import threading
import uuid
from pathlib import Path

import pytest

from zoo_pipeline.cli import main
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


def test_parts_are_published_as_one_file(files):
    assert files.publish("a.bin", b"first ", memoryview(b"and second")) is True
    assert files.read("a.bin") == b"first and second"


def test_a_stream_is_published_whole_or_not_at_all(files):
    def parts(last):
        yield b"first "
        yield last() if callable(last) else last

    def damaged():
        raise StoreError("shard: damaged")

    with pytest.raises(StoreError, match=r"^shard: damaged$"):
        files.publish_stream("a.bin", parts(damaged))
    assert files.names() == []
    assert files.publish_stream("a.bin", parts(b"and second")) is True
    assert files.publish_stream("a.bin", parts(b"and third")) is False
    assert files.read("a.bin") == b"first and second"


def test_a_streams_parts_are_written_before_the_next_is_made(tmp_path):
    written = []

    def parts():
        for _ in range(3):
            written.extend(path.stat().st_size for path in tmp_path.iterdir())
            yield b"x" * 100_000  # more than Python's buffer of a file holds

    Files(str(tmp_path)).publish_stream("a.bin", parts())
    assert written == [0, 100_000, 200_000]
    assert (tmp_path / "a.bin").stat().st_size == 300_000


def test_what_somebody_else_removed_is_discarded_without_a_word(files):
    files.publish("folder/a.bin", b"a")
    files.discard("folder/a.bin")
    files.discard("folder/a.bin")
    assert not files.exists("folder/a.bin")


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


@pytest.mark.parametrize("taken", [False, True])
def test_a_disk_without_hard_links_is_written_too(tmp_path, monkeypatch, taken):
    def refused(*args):
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    files = Files(str(tmp_path))
    if taken:
        files.publish("a", b"first")
    monkeypatch.setattr(os, "link", refused)
    assert files.publish("a", b"second") is not taken
    assert files.read("a") == (b"first" if taken else b"second")
    assert listed(tmp_path) == ["a"]


@pytest.mark.parametrize("name", ["a::b", "a [b]*?", "ä ö", "x#y", "a%20b"])
def test_a_local_path_is_taken_as_it_is(tmp_path, name):
    Files(str(tmp_path / name)).publish("file", b"x")
    assert listed(tmp_path) == [name]
    Files(str(tmp_path / name)).remove("file")
    assert listed(tmp_path / name) == []


@pytest.mark.parametrize("root", ["memory://exp*/run", "simplecache::memory://x", "memory://[ab]/x", "nosuch://x/y"])
def test_addresses_that_are_not_one_place_are_refused(root):
    with pytest.raises(StoreError) as caught:
        Files(root)
    assert len(str(caught.value).splitlines()) == 1


def test_the_errors_of_a_remote_driver_become_one_line(monkeypatch):
    class LostError(Exception):
        """What a driver's library raises: no OSError."""

    def lost(*args, **options):
        raise LostError("no credentials\nfound")

    files = Files("memory://bucket/run")
    for name in ("exists", "ls", "cat_file", "pipe_file", "rm", "size", "open"):
        monkeypatch.setattr(files.filesystem, name, lost)
    calls = [files.names, *(lambda m=m: getattr(files, m)("a") for m in ("exists", "read", "remove", "size", "sha256"))]
    for call in [*calls, lambda: files.publish("a", b""), lambda: files.replace("a", b"")]:
        with pytest.raises(StoreError, match="no credentials found"):
            call()


def test_a_race_that_a_server_tells_without_detail_is_a_lost_race(monkeypatch):
    answer = OSError(errno.EINVAL, "At least one of the pre-conditions you specified did not hold")
    answer.__cause__ = type("ClientError", (Exception,), {"response": {"Error": {"Code": "PreconditionFailed"}}})()

    def refused(*args, **options):
        raise answer

    files = Files("memory://bucket/race")
    assert files.publish("a", b"first") is True
    monkeypatch.setattr(files.filesystem, "pipe_file", refused)
    assert files.publish("a", b"second") is False
    assert files.publish("a", b"first") is True  # as after a lost answer: what is there is ours, or as good
    answer.__cause__ = None
    with pytest.raises(StoreError, match="pre-conditions"):
        files.publish("a", b"")


@pytest.mark.parametrize("change", ["publish", "replace", "remove", "discard", "sweep"])
def test_nothing_is_written_or_removed_through_a_link_to_a_folder(tmp_path, change):
    elsewhere, run, link = tmp_path / "elsewhere", tmp_path / "run", tmp_path / "link"
    (elsewhere / "checkpoints").mkdir(parents=True)
    for name in ("a", ".a.1.tmp"):
        (elsewhere / "checkpoints" / name).write_bytes(b"theirs")
    run.mkdir()
    (run / "checkpoints").symlink_to(elsewhere / "checkpoints")
    link.symlink_to(run)
    files = Files(str(link))
    calls = {
        "publish": lambda: files.publish("checkpoints/b", b"x"),
        "replace": lambda: files.replace("checkpoints/a", b"x"),
        "remove": lambda: files.remove("checkpoints"),
        "discard": lambda: files.discard("checkpoints/a"),
        "sweep": lambda: files.sweep("checkpoints"),
    }
    with pytest.raises((StoreError, OSError)) as caught:
        calls[change]()
    assert len(str(caught.value).splitlines()) == 1
    assert {path.name: path.read_bytes() for path in (elsewhere / "checkpoints").iterdir()} == {
        "a": b"theirs",
        ".a.1.tmp": b"theirs",
    }
    assert files.publish("own/a", b"x") is True, "the root itself may be a link"


def test_a_run_with_a_linked_folder_is_refused_before_it_is_trained_analysed_or_replaced(small_run, tmp_path, capsys):
    run, elsewhere = tmp_path / "run", tmp_path / "elsewhere"
    shutil.copytree(small_run, run)
    for folder, command in (
        ("checkpoints", ["train", "digits-demo", "--out", str(run), "--overwrite", "--executor", "inline"]),
        ("analysis", ["analyze", str(run), "--name", "other", "--executor", "inline"]),
    ):
        (run / folder).rename(elsewhere)
        (run / folder).symlink_to(elsewhere)
        before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
        assert main(command) == 2
        assert f"{run}/{folder} is a link to another folder; put the folder itself there" in capsys.readouterr().err
        assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
        (run / folder).unlink()
        elsewhere.rename(run / folder)
