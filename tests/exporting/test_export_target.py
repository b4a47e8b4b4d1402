import json

import pytest

from zoo_pipeline.errors import ConfigError, StoreError
from zoo_pipeline.exporting.target import Target, check_target, claim, find_target, finish
from zoo_pipeline.store.filesystem import Files


def test_a_suffix_says_the_format_of_a_file_and_a_folder_needs_one():
    assert find_target("/o/x.pt", None, "/run") == Target("/o", "x.pt", "state-dict")
    assert find_target("s3://b/x.safetensors", "safetensors", "/run") == Target(
        "s3://b", "x.safetensors", "safetensors"
    )
    assert find_target("/o/tree/", "model-zoos", "/run") == Target("/o/tree", None, "model-zoos")
    assert find_target("/run-2", "hub", "/run").place == "/run-2"


@pytest.mark.parametrize(
    ("to", "wanted", "told"),
    [
        (
            "/o/x.pt",
            "safetensors",
            r"the suffix is that of state-dict; safetensors goes into a file .safetensors or a f",
        ),
        ("/o/x.safetensors", "hub", r"--format hub: the suffix is that of safetensors; hub goes into a folder$"),
        ("/o/x.pth", "state-dict", r"no format has the suffix .pth; expected .pt, .safetensors, or a folder$"),
        ("/o/tree", None, r"add --format state-dict\|safetensors\|hub\|model-zoos$"),
        ("/o/tree", "onnx", r"--format onnx: expected one of state-dict, safetensors, hub, model-zoos$"),
        ("/run/export", "hub", r"lies in the run itself"),
        ("/run/", "hub", r"lies in the run itself"),
    ],
)
def test_what_does_not_fit_is_refused_with_what_does(to, wanted, told):
    with pytest.raises(ConfigError, match=told):
        find_target(to, wanted, "/run/")


def test_a_file_that_is_there_is_replaced_only_on_request(tmp_path):
    (tmp_path / "x.pt").write_text("mine")
    (tmp_path / "folder.pt").mkdir()
    target = Target(str(tmp_path), "x.pt", "state-dict")
    with pytest.raises(StoreError, match=r"x\.pt: is there already; name another, or replace it by --overwrite"):
        check_target(target, overwrite=False)
    check_target(target, overwrite=True)
    check_target(Target(str(tmp_path), "y.pt", "state-dict"), overwrite=False)
    with pytest.raises(StoreError, match=r"folder\.pt: is a folder, expected a file"):
        check_target(Target(str(tmp_path), "folder.pt", "state-dict"), overwrite=True)


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("names", [["diary.txt"], ["README.md", "data"], ["export.json", "diary.txt"]])
def test_what_is_no_export_is_never_touched(tmp_path, names, overwrite):
    for name in names:
        (tmp_path / name).write_text("mine")
    with pytest.raises(
        StoreError, match=rf"not empty and not an export \(holds {names[-1] if 'export' in names[0] else names[0]}"
    ):
        check_target(Target(str(tmp_path), None, "hub"), overwrite=overwrite)
    with pytest.raises(StoreError, match="is a file, expected a new or empty folder"):
        check_target(Target(str(tmp_path / names[0]), None, "hub"), overwrite=overwrite)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names)


def test_an_export_is_replaced_whole_by_another(tmp_path):
    files, target = Files(str(tmp_path)), Target(str(tmp_path), None, "hub")
    check_target(target, overwrite=False)
    claim(files, {"format": "state-dict"}, overwrite=False)
    files.publish("model-00007/epoch-0001.pt", b"old")
    with pytest.raises(StoreError, match="already holds an export; name another, or replace it by --overwrite"):
        check_target(target, overwrite=False)
    check_target(target, overwrite=True)
    claim(files, {"format": "hub"}, overwrite=True)
    assert json.loads((tmp_path / "export.json").read_text()) == {"format": "hub", "complete": False}
    with pytest.raises(StoreError, match="another export began there at the same time"):
        claim(files, {"format": "hub"}, overwrite=False)
    finish(files, {"format": "hub"})
    assert json.loads((tmp_path / "export.json").read_text()) == {"format": "hub", "complete": True}
    assert [path.name for path in tmp_path.iterdir()] == ["export.json"]
