"""Runs in S3, on two servers, with faults put in between."""

import json
import threading

import pyarrow as pa
import pytest

from benchmarks.chaos.proxy import EXPIRED, PASSING
from benchmarks.chaos.storage import contents
from tests.store.buckets import KEY, SECRET, server
from zoo_pipeline.cli import main
from zoo_pipeline.errors import StoreError, UnreachableError
from zoo_pipeline.store import patience
from zoo_pipeline.store.filesystem import Files
from zoo_pipeline.store.options import StorageOptions, use_storage_options
from zoo_pipeline.store.schema import encode_table
from zoo_pipeline.store.shards import open_shard

pytest.importorskip("s3fs")
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")  # aiohttp's sessions end with the process


@pytest.fixture(scope="module", params=["moto", "ministack"])
def endpoint(request):
    with server(request.param) as address:
        yield address


@pytest.mark.parametrize("fault", PASSING)
def test_a_fault_that_passes_is_waited_for(bucket, fault):
    files = bucket.files()
    bucket.proxy.inject(fault, fault)
    assert files.publish("folder/a", b"first") is True
    assert files.publish("folder/a", b"second") is False
    bucket.proxy.inject(*[fault] * 2)
    assert files.read("folder/a") == b"first"
    assert (files.names("folder"), files.exists("folder/a"), files.size("folder/a")) == (["a"], True, 5)
    files.replace("folder/a", b"third")
    assert files.read("folder/a") == b"third"
    bucket.proxy.inject(fault)
    files.discard("folder/a")
    assert files.names("folder") == []
    assert bucket.proxy.injected[fault] >= 3


def test_a_file_whose_answer_got_lost_is_ours(bucket):
    files = bucket.files()
    bucket.proxy.inject("lost answer")
    assert files.publish("a", b"mine") is True
    assert [method for method, _ in bucket.proxy.requests].count("PUT") == 2


def test_a_large_file_goes_up_in_one_request(bucket):
    files, large = bucket.files(), bytes(101 << 20)  # from 100 MiB on s3fs would send parts
    assert files.publish("a", large) is True
    assert files.publish("a", b"other") is False
    files.replace("b", large)
    assert [method for method, _ in bucket.proxy.requests if method in ("PUT", "POST")] == ["PUT"] * 3
    assert (files.size("a"), files.size("b")) == (len(large), len(large))


def test_a_removal_whose_answer_got_lost_has_been_done(bucket):
    files = bucket.files()
    for name in ("folder/a", "folder/b", "c"):
        files.publish(name, b"x")
    bucket.proxy.inject("lost answer")
    files.remove("folder")
    assert files.names() == ["c"]


def test_of_many_that_publish_at_once_exactly_one_wins(bucket):
    files, won, start = bucket.files(), [], threading.Barrier(6)

    def attempt(number: int) -> None:
        start.wait()
        if files.publish("shard", bytes([number]) * 1000):
            won.append(number)

    threads = [threading.Thread(target=attempt, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1
    assert files.read("shard") == bytes(won) * 1000


def test_a_listing_is_never_an_old_one(bucket):
    one, other = bucket.files(), bucket.files()
    assert one.names("folder") == []
    other.publish("folder/a", b"x")
    assert one.names("folder") == ["a"]
    other.remove("folder")
    assert (one.names("folder"), one.exists("folder/a")) == ([], False)


def test_a_folder_that_a_console_made_is_no_file(bucket):
    files = bucket.files()
    files.filesystem.pipe_file(f"{files.path}/folder/", b"")
    files.publish("folder/a", b"x")
    assert (files.names("folder"), files.names()) == (["a"], ["folder"])


def test_a_fault_within_a_parquet_file_is_waited_for(bucket):
    files, table = bucket.files(), pa.table({"a": list(range(1000))})
    files.publish("a.parquet", encode_table(table))
    with open_shard(files, "a.parquet") as shard:
        bucket.proxy.inject("503", "reset", "500")
        assert shard.read(use_threads=False).equals(table)


def test_a_store_that_stays_away_is_no_damage(bucket, monkeypatch):
    files = bucket.files()
    files.publish("a.parquet", encode_table(pa.table({"a": [1]})))
    monkeypatch.setattr(patience, "PATIENCE_S", 0.2)
    bucket.proxy.gone = True
    with pytest.raises(UnreachableError, match=r"cannot be read: .*; tried again for 0 s; when the store answers"):
        files.read("a.parquet")
    with pytest.raises(UnreachableError), open_shard(files, "a.parquet"):
        pass
    bucket.proxy.gone = False
    assert files.exists("a.parquet")


def test_a_bucket_that_comes_back_is_waited_for(bucket):
    files = bucket.files()
    bucket.proxy.gone = True
    back = threading.Timer(1.5, lambda: setattr(bucket.proxy, "gone", False))
    back.start()
    assert files.publish("a", b"x") is True
    back.join()


@pytest.mark.parametrize("call", ["read", "exists", "size", "publish", "discard", "names"])
def test_expired_credentials_are_told_at_once_with_what_to_do(bucket, call):
    files = bucket.files()
    bucket.proxy.inject(EXPIRED)
    with pytest.raises(UnreachableError, match=r"renew (the credentials|them)") as caught:
        getattr(files, call)("a")
    assert len(str(caught.value).splitlines()) == 1
    asked = [path for path in bucket.proxy.requests if path[1].endswith("/a") or "list-type" in path[1]]
    assert len(asked) == 1, "it was asked for again"


def test_a_bucket_that_does_not_exist_is_told(bucket):
    bucket.files()
    with pytest.raises(UnreachableError, match="make the bucket, or correct its name"):
        Files("s3://no-such-bucket-there/run").names()


def test_a_run_in_a_bucket_equals_a_local_one_and_no_word_shows_a_secret(bucket, small_run, tmp_path, capsys):
    options = [word for option in bucket.words for word in ("--storage-option", option)]
    small = ["--set", "zoo.training.epochs=3", "--set", "zoo.population.seeds=6"]
    small += ["--set", "zoo.population.group_size=2", "--set", "resources={stack: 2, threads: 1}"]
    command = ["run", "digits-demo", "--out", bucket.root, "--executor", "inline", *small, *options]
    bucket.proxy.rate, bucket.proxy.left, bucket.proxy.kinds = 0.1, 12, ("500", "503", "reset", "lost answer")
    assert main(command) == 0
    assert bucket.proxy.injected.total() == 12
    bucket.proxy.inject(EXPIRED)
    assert main([*command, "--resume"]) == 2
    told = capsys.readouterr()
    assert told.err.count("zoo: ") == 1
    assert "--resume" in told.err
    bucket.proxy.expired = False
    for name in ("manifest.json", "checkpoints/group-00001.parquet"):
        bucket.files().discard(name)
    assert main([*command, "--resume"]) == 0
    for other in (["status", "--json"], ["verify"], ["report"]):
        assert main([other[0], bucket.root, *other[1:], *options]) == 0
    assert main(["analyze", bucket.root, "--executor", "inline", "--overwrite", *options]) == 0
    found = capsys.readouterr()
    assert "trained 1 group, found 2 done" in found.out
    files = bucket.files()
    assert contents(files) == contents(Files(str(small_run)))
    written = b"".join(files.read(name) for name in ("spec.json", "engine.json", "manifest.json", "report.html"))
    for text in (told.out, told.err, found.out, found.err, written.decode()):
        assert SECRET not in text
        assert KEY not in text


@pytest.mark.parametrize("executor", [["--ray-address", "local"]])
def test_rays_workers_have_the_options_too(bucket, small_run, executor):
    options = [word for option in bucket.words for word in ("--storage-option", option)]
    small = ["--set", "zoo.training.epochs=3", "--set", "zoo.population.seeds=6"]
    small += ["--set", "zoo.population.group_size=2", "--set", "resources={stack: 2, threads: 1}"]
    bucket.proxy.rate, bucket.proxy.left, bucket.proxy.kinds = 0.1, 8, ("500", "503", "reset", "lost answer")
    assert main(["run", "digits-demo", "--out", bucket.root, *executor, *small, *options]) == 0
    assert contents(bucket.files()) == contents(Files(str(small_run)))
    assert json.loads(bucket.files().read("manifest.json"))["shards"]


def test_a_secret_in_an_error_is_hidden(monkeypatch):
    use_storage_options(StorageOptions({"secret": SECRET}))
    files = Files("memory://bucket/run")

    def refused(*args, **options):
        raise ValueError(f"signature of {SECRET} is wrong")

    monkeypatch.setattr(files.filesystem, "cat_file", refused)
    try:
        with pytest.raises(StoreError, match=r"signature of \*\*\* is wrong"):
            files.read("a")
    finally:
        use_storage_options(StorageOptions({}))


@pytest.mark.parametrize("word", ["password-alone", "=x", "a b=c", 'client_kwargs={"a"'])
def test_an_option_that_is_none_is_refused_without_being_shown(word, capsys):
    assert main(["status", "memory://x", "--storage-option", word]) == 2
    told = capsys.readouterr().err
    assert "--storage-option" in told
    assert "password" not in told


def test_an_address_with_a_password_is_refused_without_being_shown():
    with pytest.raises(StoreError, match="holds a password") as caught:
        Files("s3://me:hunter2@bucket/run")
    assert "hunter2" not in str(caught.value)


def test_a_driver_that_is_missing_is_named_with_its_command(monkeypatch):
    def missing(*args, **options):
        raise ImportError("Install s3fs to access S3")

    monkeypatch.setattr("fsspec.core.url_to_fs", missing)
    with pytest.raises(StoreError, match=r"pip install s3fs$"):
        Files("s3://bucket/run")
    with pytest.raises(StoreError, match=r"pip install gcsfs$"):
        Files("gs://bucket/run")


def test_a_server_without_conditional_puts_is_written_too(monkeypatch):
    files = Files("memory://bucket/old-server")
    real = files.filesystem.pipe_file

    def unknown(path, data, mode="overwrite"):
        if mode == "create":
            error = OSError("A header you provided implies functionality that is not implemented")
            error.response = {"Error": {"Code": "NotImplemented"}}
            raise error
        real(path, data)

    monkeypatch.setattr(files.filesystem, "pipe_file", unknown)
    assert files.publish("a", b"first") is True
    assert files.publish("a", b"second") is False
    assert files.read("a") == b"first"
