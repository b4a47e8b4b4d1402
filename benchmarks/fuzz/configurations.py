"""Target: configurations, as YAML of any kind and by `--set`, through `zoo plan`."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from hypothesis import strategies as st

from benchmarks.fuzz.damage import NAMES, NUMBERS, changed, damaged
from benchmarks.fuzz.verdicts import UNEXPLAINED, Finding, asked, commanded
from zoo_pipeline.config import ZooConfig
from zoo_pipeline.recipes import load_configs

_TREE: dict[str, Any] = {
    "name": "fuzzed",
    "description": "what is trained here",
    "zoo": {
        "dataset": "digits",
        "model": {"architecture": "mlp", "hidden": [16, 4], "activation": "tanh", "bias": True},
        "training": {"optimizer": "sgd", "learning_rate": 0.01, "batch_size": 64, "epochs": 5, "schedule": "constant"},
        "population": {"seeds": 8, "first_seed": 3, "group_size": 4, "seeding": "random"},
    },
    "resources": {"num_cpus": 1, "stack": 2, "threads": 1},
}
_POINTS: tuple[dict[str, Any], ...] = (
    {"grid": {"learning_rate": [0.1, 0.01], "activation": ["tanh", "relu"]}},
    {
        "random": {
            "points": 3,
            "axes": {"learning_rate": {"log_uniform": [1e-4, 0.1]}, "batch_size": {"integer": [8, 64]}},
        }
    },
    {"list": [{"dropout": 0.1}, {"optimizer": "adam", "weight_decay": 0.1}]},
)
# Places that are no data: none of them may be waited for, written to, or be told by a traceback.
_DATASETS = (
    "/dev/null",
    "/dev/zero",
    "/dev/stdin",
    "/proc/self/mem",
    "/proc/self/environ.npz",
    "/",
    "~nobody-of-that-name/x.npz",
    "x\x00y.npz",
    "a" * 5_000 + ".npz",
    "a" * 300 + "/x.parquet",
    "\udcff/x.npz",
    "../../etc/passwd",
    "s3://key:secret@bucket/x.npz",
    "mnist",
    "mnist-10k",
)
_HOSTILE = st.one_of(st.sampled_from([*NUMBERS, *NAMES]), st.sampled_from(_DATASETS), st.text(max_size=8))
_BOMB = "\n".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9) if n else 'lol'}]" for n in range(12))
_TEXTS: tuple[bytes, ...] = (
    b"",
    b"\x00",
    b"\xff\xfe\x00",
    b"\xef\xbb\xbfname: x",
    b"---\n---\n",
    b"{",
    b"- " * 3_000,
    b"[" * 5_000,
    b"{a: " * 3_000,
    b"? " * 2_000,
    b"name: &a [*a]",
    _BOMB.encode(),
    b"!!python/object/apply:os.system ['touch ran']",
    b"!!python/object/new:os.system ['touch ran']",
    b"name: !!python/name:os.system",
    b"name: !!python/object/apply:subprocess.check_output [['touch', 'ran']]",
    b"!!map {name: x}",
    b"!!set {a, b}",
    b"!!omap [a: 1]",
    b"!!binary aGVsbG8=",
    b"!!binary \xff",
    b"!!timestamp 2020-13-45",
    b"!!int x",
    b"!!float 1.2.3",
    b"name: 2020-01-01",
    b"name: 2020-13-45",
    b"name: 9999-12-31 23:59:59 -23:00",
    b"<<: {name: x}",
    b"<<: [1, 2]",
    b"a: 1\na: 2",
    b"? [a, b]\n: 1",
    b"? {a: b}\n: 1",
    b"1: 2\nnull: 3\n~: 4",
    b"name: " + b"9" * 5_000,
    b"name: 0x" + b"f" * 5_000,
    b"name: 1:" + b"59:" * 500 + b"59",
    b"name: " + b"1" * 400 + b"e" + b"9" * 400,
    b"%YAML 9.9\n---\nname: x",
    b"%TAG ! tag:x,2000:\n---\n!x y",
    b"name: |\n" + b" x\n" * 5_000,
    b"#" * 2_000_000,
    b"[" + b"1," * 6_000 + b"]",
    b"{" + b",".join(b"k%d: 1" % number for number in range(1_000)) + b"}",
    b'name: "\\x00\\u202e\\ud800"',
)
_PATHS = (
    "name",
    "description",
    "zoo",
    "zoo.dataset",
    "zoo.model",
    "zoo.model.hidden",
    "zoo.model.image_side",
    "zoo.model.architecture",
    "zoo.training.epochs",
    "zoo.training.batch_size",
    "zoo.training.learning_rate",
    "zoo.training.schedule_epochs",
    "zoo.population.seeds",
    "zoo.population.first_seed",
    "zoo.population.group_size",
    "zoo.population.grid",
    "zoo.population.random",
    "zoo.population.list",
    "resources.num_cpus",
    "resources.stack",
    "a.b.c",
    "zoo.dataset.x",
    "..",
    "",
)
_VALUES = (
    *("", "null", "[]", "{}", "[1, 2]", "{a: 1}", "-1", "1e400", ".nan", "-.inf", "true", "[*a]", "&a x", "]", "'"),
    *("!!python/name:os.system", "\x00", "\udcff", "[digits, tetris]", "{learning_rate: [1, 1]}", "9" * 5_000),
    *("65536", "[65536, 65536]", "20000", "a: b: c"),
)
_PLANNED = re.compile(r"checkpoints/group-\d{5}(-epochs-\d{4,}-\d{4,})?\.parquet")


@dataclass(frozen=True)
class Configuration:
    """A file of YAML and what is set besides."""

    text: bytes
    overrides: tuple[str, ...]


@st.composite
def configurations(draw: st.DrawFn) -> Configuration:
    """Changed recipes, damaged YAML, and what looks harmless to a parser."""
    points = draw(st.sampled_from([{}, *_POINTS]))
    zoo = {**_TREE["zoo"], "population": _TREE["zoo"]["population"] | points}
    tree = draw(changed({**_TREE, "zoo": zoo}, hostile=st.one_of(_HOSTILE, st.integers(-5, 70), st.floats(), _odd)))
    sound = yaml.safe_dump({**_TREE, "zoo": zoo}).encode()
    text = draw(st.one_of(st.builds(_dumped, st.just(tree)), st.just(sound), damaged(sound), st.sampled_from(_TEXTS)))
    paths = st.one_of(st.sampled_from(_PATHS), st.text(max_size=6))
    value = st.one_of(st.sampled_from(_VALUES), st.builds(str, _HOSTILE))
    return Configuration(text, tuple(draw(st.lists(st.builds("{}={}".format, paths, value), max_size=2))))


_odd: st.SearchStrategy[Any] = st.sampled_from(
    [[], {}, None, [None], [[1]], True, ["digits"] * 2, [16] * 3_000, {"choice": []}]
)


def _dumped(tree: Any) -> bytes:
    return yaml.safe_dump(tree, allow_unicode=True).encode(errors="surrogateescape")


def check_configuration(case: Configuration, place: Path) -> str:
    """Plan it: a plan whose names are a run's, or lines, and nothing is written or called.

    Args:
        case: the configuration.
        place: an empty folder.
    """
    file = place / "recipe.yaml"
    file.write_bytes(case.text)
    sets = [f"--set={override}" for override in case.overrides]
    answer = asked(lambda: load_configs(str(file), case.overrides))
    names = [config.name for config in answer.value or () if isinstance(config, ZooConfig)]
    if any("/" in name or name.startswith(".") or not name.isprintable() for name in names):
        raise Finding(UNEXPLAINED, f"a name may leave its directory: {names}")
    done = commanded("plan", str(file), "--json", *sets)
    if answer.error is not None and done.code != 2:
        raise Finding(UNEXPLAINED, f"refused by the library, planned by the command line: {answer.error}")
    if done.code == 0:
        planned = json.loads(done.out)
        shards = [shard["shard"] for run in planned.get("runs", [planned]) for shard in run["shards"]]
        if not all(map(_PLANNED.fullmatch, shards)):
            raise Finding(UNEXPLAINED, f"odd names of shards: {shards[:3]}")
    elif done.out:
        raise Finding(UNEXPLAINED, f"refused, but printed {done.out!r:.200}")
    if sorted(path.name for path in place.iterdir()) != ["recipe.yaml"] or Path("ran").exists():
        raise Finding(UNEXPLAINED, "planning left files, or ran a program")
    return done.verdict
