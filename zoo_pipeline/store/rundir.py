"""A run directory: who may write into it, and the small JSON files that say what it is."""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from itertools import islice
from typing import Any, Protocol

from zoo_pipeline.digests import digest
from zoo_pipeline.errors import StoreError
from zoo_pipeline.plan import FORMAT_VERSION
from zoo_pipeline.store.filesystem import Files
from zoo_pipeline.store.names import lies_in
from zoo_pipeline.version import __version__

SPEC, ENGINE, MANIFEST, MODELS, REPORT = "spec.json", "engine.json", "manifest.json", "models.parquet", "report.html"
CHECKPOINTS, BUFFERS, STATES, ANALYSIS = "checkpoints", "buffers", "states", "analysis"
_MOST_FOLDERS, _MOST_NAMED = 200, 3  # in which runs are looked for, and that are found, where somebody names no run
FAILURES, PROGRESS, IMPORT = "failures", "progress.json", "import.json"
# In the order in which they are removed: what claims completeness goes first.
PARTS = (MANIFEST, REPORT, ANALYSIS, MODELS, CHECKPOINTS, BUFFERS, STATES, FAILURES, PROGRESS, ENGINE, IMPORT, SPEC)
_SHARD = {"shard", "rows", "bytes", "sha256"}
_DAMAGED = "the run is damaged, zoo verify RUN says what mends it"
LIBRARIES = ("torch", "numpy", "pyarrow", "ray", "scikit-learn")


class Specified(Protocol):
    """Whatever says what a run is made of: the plan of a zoo, or of an import."""

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def description(self) -> str: ...  # noqa: D102
    @property
    def spec_hash(self) -> str: ...  # noqa: D102
    def spec(self) -> dict[str, Any]: ...  # noqa: D102
    def figures(self) -> dict[str, Any]: ...  # noqa: D102


class RunDirectory:
    """One run on disk or in a bucket."""

    def __init__(self, root: str) -> None:
        self.root = root
        self.files = Files(root)

    def claim(self, plan: Specified, *, resume: bool = False, overwrite: bool = False) -> None:
        """Make the directory this plan's run, or make sure that it already is; the arguments are those of `check`.

        Raises:
            StoreError: as `check`, or the directory cannot be written.
        """
        self.check(plan, resume=resume, overwrite=overwrite)
        if overwrite:
            present = self.files.names()
            for name in PARTS:
                if name in present:
                    self.files.remove(name)
        self.files.publish(SPEC, _json(spec_document(plan)))
        self._check_same(plan)  # also against another driver that came first

    def check(self, plan: Specified, *, resume: bool = False, overwrite: bool = False) -> None:
        """Refuse a directory that this plan must not be written to; change nothing.

        Args:
            plan: what is to be trained.
            resume: go on with a run of the same specification.
            overwrite: remove a run that is there, whatever its specification, if nothing else is there with it.

        Raises:
            StoreError: something else is there, such as a link to a folder, a run of another specification, or a run
                and neither flag.
        """
        if self.files.local and self.files.is_file():
            raise StoreError(f"{self.root}: is a file; name a new or empty directory")
        names = [name for name in self.files.names() if not name.startswith(".")]
        present = [name for name in names if name in PARTS]
        foreign = [name for name in names if name not in PARTS]
        if names and SPEC not in names:
            raise StoreError(
                f"{self.root}: not empty and not a run (holds {', '.join((foreign or present)[:3])}); "
                f"name a new or empty directory"
            )
        if foreign and overwrite:
            raise StoreError(
                f"{self.root}: is a run, but holds {', '.join(foreign[:3])}, too, which is none of its files; move it "
                f"away, or name another directory"
            )
        for name in present:
            self.files.check_folder(name)  # before models are trained for it
        if present and not overwrite:
            self._check_same(plan)
            if not resume:
                raise StoreError(
                    f"{self.root}: already holds this run; go on with it by --resume, or start again by --overwrite"
                )

    @property
    def spec(self) -> dict[str, Any]:
        """The content of spec.json.

        Raises:
            StoreError: it is absent or not one of ours.
        """
        if not self.files.exists(SPEC):
            runs = runs_in(self.files)
            found = holds_runs(self.root, runs) if runs else f"has no {SPEC}; is this a run directory?"
            raise StoreError(f"{self.root}: {found}")
        spec = self._read_json(SPEC)
        if spec.get("format_version") != FORMAT_VERSION:
            raise StoreError(
                f"{self.root}: {SPEC} has format version {spec.get('format_version')}, expected {FORMAT_VERSION}; "
                f"read it with the version of zoo_pipeline that wrote it"
            )
        for key in ("name", "spec_hash"):
            if not isinstance(spec.get(key), str):
                raise StoreError(f"{self.root}: {SPEC} has no text under {key}; docs/format.md says what it needs")
        if isinstance(spec.get("spec"), dict) and digest(spec["spec"]) != spec["spec_hash"]:
            raise StoreError(f"{self.root}: the spec_hash in {SPEC} is not that of its spec; one of them was changed")
        return spec

    @property
    def key(self) -> str:
        """The run's key in analysis tables: the first digits of its spec_hash."""
        return str(self.spec["spec_hash"])[:12]

    def engine(self, choose: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """The run's engine: what it was started with, or what `choose` says, if it has none yet."""
        if not self.files.exists(ENGINE):
            self.files.publish(ENGINE, _json(choose()))
        return self._read_json(ENGINE)

    @property
    def manifest(self) -> dict[str, Any] | None:
        """The content of manifest.json; None as long as the run is incomplete.

        Raises:
            StoreError: it is there, but is no manifest.
        """
        if not self.files.exists(MANIFEST):
            return None
        manifest = self._read_json(MANIFEST)
        shards = manifest.get("shards")
        if not isinstance(shards, list) or not all(map(_is_line, shards)):
            raise StoreError(f"{self.files.at(MANIFEST)}: lists no shards as docs/format.md says; {_DAMAGED}")
        return manifest

    def publish_manifest(self, manifest: dict[str, Any]) -> None:
        """Declare the run complete. Whoever comes second must have found the same."""
        if not self.files.publish(MANIFEST, _json(manifest)) and self._read_json(MANIFEST) != manifest:
            raise StoreError(
                f"{self.root}: {MANIFEST} is there and describes other files than those that are there now; "
                f"zoo verify RUN finds out which are damaged, and says what mends them"
            )

    def replace_manifest(self, manifest: dict[str, Any]) -> None:
        """Declare the run complete in place of what a manifest says that is there."""
        self.files.replace(MANIFEST, _json(manifest))

    def check_seen(self, spec_hash: str) -> None:
        """Make sure that this process sees the run that the driver claimed.

        Raises:
            StoreError: there is nothing at this place, or another run.
        """
        if not self.files.exists(SPEC) or self.spec["spec_hash"] != spec_hash:
            raise StoreError(
                f"{self.root}: this worker does not find the run there that it is to train; "
                f"name a place that all nodes share, and let no other run take it"
            )

    def _check_same(self, plan: Specified) -> None:
        there = self.spec
        if there.get("spec_hash") != plan.spec_hash:
            known = there.get("spec")
            differences = differing(known if isinstance(known, dict) else {}, plan.spec())
            raise StoreError(
                f"{self.root}: holds a run of another configuration ({'; '.join(differences)}); "
                f"use another directory, or --overwrite to replace it"
            )

    def _read_json(self, name: str) -> dict[str, Any]:
        try:
            content = json.loads(self.files.read(name))
        except (ValueError, RecursionError) as error:
            remedy = "restore it from a copy; no other file has what it says" if name == SPEC else _DAMAGED
            raise StoreError(f"{self.files.at(name)}: not readable as JSON ({error}); {remedy}") from None
        if not isinstance(content, dict):
            raise StoreError(f"{self.files.at(name)}: expected a JSON object; {_DAMAGED}")
        return content


def is_imported(document: Mapping[str, Any]) -> bool:
    """Whether a run, by the content of its spec.json, was made of files from elsewhere."""
    spec = document.get("spec")
    return isinstance(spec, Mapping) and "import" in spec


def runs_in(files: Files) -> list[str]:
    """The first folders with a run in a folder, as of a recipe or an import; at most so many folders are looked at."""
    runs = (name for name in files.folders()[:_MOST_FOLDERS] if files.exists(f"{name}/{SPEC}"))
    return list(islice(runs, _MOST_NAMED))


def holds_runs(given: str, runs: Sequence[str]) -> str:
    """What a folder of runs is told where a run is wanted, a clause."""
    places = (f"{given.rstrip('/')}/{name}" for name in runs)
    return f"holds runs, such as {', '.join(places)}; name one of them"


def _is_line(line: Any) -> bool:
    """Whether something is a line of the manifest: of a shard that lies where shards do."""
    if not isinstance(line, dict) or not line.keys() >= _SHARD:
        return False
    return lies_in(CHECKPOINTS, line["shard"]) and all(type(line[key]) is int for key in ("rows", "bytes"))


def spec_document(plan: Specified) -> dict[str, Any]:
    """The content of spec.json."""
    return {
        "format_version": FORMAT_VERSION,
        "name": plan.name,
        "description": plan.description,
        "spec_hash": plan.spec_hash,
        "spec": plan.spec(),
        **plan.figures(),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": {"zoo_pipeline": __version__, **{library: version(library) for library in LIBRARIES}},
    }


def differing(there: dict[str, Any], here: dict[str, Any], path: str = "") -> list[str]:
    """Where two specifications differ: dotted path, their value, our value.

    >>> differing({"training": {"epochs": 25}}, {"training": {"epochs": 50}})
    ['training.epochs: 25 there, 50 here']
    """
    lines = []
    for key in sorted({*there, *here}):
        left, right = there.get(key), here.get(key)
        if isinstance(left, dict) and isinstance(right, dict):
            lines += differing(left, right, f"{path}{key}.")
        elif left != right:
            lines.append(f"{path}{key}: {json.dumps(left)} there, {json.dumps(right)} here")
    return lines


def _json(content: dict[str, Any]) -> bytes:
    return (json.dumps(content, indent=1) + "\n").encode()
