"""Recipes: named configurations in YAML; one file makes one run, or several by the lists in it."""

import re
from collections import Counter
from collections.abc import Hashable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from zoo_pipeline.addresses import secret_at
from zoo_pipeline.config import ZooConfig
from zoo_pipeline.errors import ConfigError
from zoo_pipeline.expansion import expand
from zoo_pipeline.mistakes import nearest, validate

# In a checkout (also one shipped as a Ray working directory) recipes lie in jobs/; a wheel carries them inside.
_FOLDERS = (Path(__file__).parents[1] / "jobs" / "recipes", Path(__file__).parent / "recipes")
_PUBLISHED = "published"  # the folder of the published zoos among the recipes
_MAX_BYTES = 1 << 17  # read in a second or two
_MAX_BITS = 4_096  # of a whole number


def recipe_names() -> list[str]:
    """Names of the recipes that come with the project, sorted; without the published zoos."""
    return sorted(_files("."))


def published_names() -> list[str]:
    """Names of the published zoos, one for each run, sorted."""
    return sorted(_published())


def load_config(source: str, overrides: Sequence[str] = ()) -> ZooConfig:
    """Read a recipe that makes one run, by name or path, and apply `a.b=value` overrides.

    Raises:
        ConfigError: as `load_configs`, or the recipe makes several runs.
    """
    configs = load_configs(source, overrides)
    if len(configs) > 1:
        names = ", ".join(config.name for config in configs)
        raise ConfigError(f"{source}: makes {len(configs)} runs, expected one; name one of {names}")
    return configs[0]


def load_configs(source: str, overrides: Sequence[str] = ()) -> list[ZooConfig]:
    """Read a recipe by name or path, apply `a.b=value` overrides, and expand it into its runs.

    The name of one run of a published zoo is a source, too; overrides then apply to that run.

    Raises:
        ConfigError: no such recipe, not YAML, or not a valid configuration; one line for every mistake.
    """
    tree = _tree(source)
    for override in overrides:
        tree = _overridden(tree, override)
    _check_no_secret(tree, source)
    configs, lines = [], dict[str, None]()  # runs of one recipe share most of their mistakes
    for run in expand(tree, where=source):
        try:
            configs.append(validate(run, where=source))
        except ConfigError as error:
            lines |= dict.fromkeys(error.args)
    if lines:
        raise ConfigError(*lines)
    return configs


def recorded_config(document: dict[str, Any], overrides: Sequence[str], where: str) -> ZooConfig:
    """The configuration of a run that is there, with `a.b=value` overrides.

    Args:
        document: the content of its spec.json.
        overrides: such as resources, which spec.json does not have, or `zoo.dataset=PATH` of one's own data.
        where: the run, for messages.

    Raises:
        ConfigError: spec.json does not say it, or it is not valid.
    """
    spec = document.get("spec")
    parts = ("dataset", "model", "training", "population")
    if not isinstance(spec, dict) or not spec.keys() >= set(parts):
        raise ConfigError(
            f"{where}: spec.json does not say what was trained (no {', '.join(parts)}), so nothing can be trained "
            f"again; ask who wrote the run"
        )
    tree: dict[str, Any] = {
        "name": document.get("name"),
        "description": document.get("description", ""),
        "zoo": {part: spec[part] for part in parts},
    }
    for override in overrides:
        tree = _overridden(tree, override)
    _check_no_secret(tree, where)
    return validate(tree, where)


def _check_no_secret(tree: dict[str, Any], where: str) -> None:
    if (path := secret_at(tree)) is not None:
        raise ConfigError(
            f"{where}: {path}: holds an address with a password or a signature, which would be kept and shown; give it "
            f"by the environment, a profile or --storage-option"
        )


def _files(folder: str) -> dict[str, Path]:
    """The recipes of a folder by their names."""
    places = [place / folder for place in _FOLDERS]
    return {path.stem: path for place in reversed(places) if place.is_dir() for path in place.glob("*.yaml")}


@cache
def _published() -> dict[str, dict[str, Any]]:
    """The published zoos by the names of their runs."""
    files = _files(_PUBLISHED).items()
    runs = [run for name, path in files for run in expand(_mapping(path.read_bytes(), name), where=name)]
    return {str(run["name"]): run for run in runs}


def _tree(source: str) -> dict[str, Any]:
    """The plain values of a recipe, or of one run of a published zoo."""
    path = Path(source)
    files = _files(_PUBLISHED) | _files(".")
    if path.suffix in (".yaml", ".yml"):
        try:
            if not path.is_file():
                raise ConfigError(f"{source}: no such file; name a recipe ({', '.join(recipe_names())}) or a YAML file")
            if path.stat().st_size > _MAX_BYTES:
                raise ConfigError(f"{source}: larger than {_MAX_BYTES} bytes; a recipe is a page of YAML")
            return _mapping(path.read_bytes(), where=source)
        except OSError as error:
            raise ConfigError(f"{source}: cannot be read: {error.strerror}") from None
    if source in files:
        return _mapping(files[source].read_bytes(), where=source)
    if source in _published():
        return _published()[source]
    raise ConfigError(
        f"{source}: no such recipe{nearest(source, [*files, *_published()])}; "
        f"expected one of {', '.join(recipe_names())}, a published zoo (zoo plan --all-published), "
        f"or a path that ends in .yaml"
    )


def _mapping(text: bytes, where: str) -> dict[str, Any]:
    tree = parse_yaml(text, where)
    if not isinstance(tree, dict):
        raise ConfigError(f"{where}: expected a mapping with the keys name and zoo, got {type(tree).__name__}")
    return tree


def _overridden(tree: dict[str, Any], override: str) -> dict[str, Any]:
    """A copy with one value set."""
    path, separator, text = override.partition("=")
    keys = path.split(".")
    if not separator or not all(keys):
        raise ConfigError(f"--set {override}: expected a.b=value, such as zoo.training.epochs=5")
    value = parse_yaml(text.encode(errors="surrogateescape"), where=f"--set {path}=…")
    return _with(tree, keys, value, override)


def _with(tree: dict[str, Any], keys: list[str], value: Any, override: str) -> dict[str, Any]:
    first, rest = keys[0], keys[1:]
    if rest:
        below = tree.get(first, {})
        if not isinstance(below, dict):
            raise ConfigError(f"--set {override}: {first} is a value, not a mapping; check the dotted path")
        value = _with(below, rest, value, override)
    return {**tree, first: value}


class _Loader(yaml.SafeLoader):
    """YAML's safe types, with 1e-3 read as the number it is, and without aliases and repeated keys."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("aliases (*name) are not read")
        return super().compose_node(parent, index)

    def construct_yaml_int(self, node: yaml.ScalarNode) -> int:
        value = int(super().construct_yaml_int(node))
        if value.bit_length() > _MAX_BITS:  # Python refuses to write out what is much longer
            raise yaml.MarkedYAMLError(problem="a number of far too many digits", problem_mark=node.start_mark)
        return value

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        times = Counter(key for key in keys if isinstance(key, Hashable))  # others are refused below
        repeated = [str(key) for key, number in times.items() if number > 1]
        if repeated:
            raise yaml.MarkedYAMLError(problem=f"repeats the key {', '.join(repeated)}", problem_mark=node.start_mark)
        return super().construct_mapping(node, deep)


_Loader.add_constructor("tag:yaml.org,2002:int", _Loader.construct_yaml_int)
_Loader.add_implicit_resolver(  # PyYAML follows YAML 1.1, where 1e-3 is text
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+$"), list("-+.0123456789")
)


def parse_yaml(text: bytes, where: str) -> Any:
    """Plain values that YAML says; nothing of it is run.

    Raises:
        ConfigError: it is no YAML, names types or aliases, or repeats a key; the message begins with `where`.
    """
    try:
        return yaml.load(text, _Loader)
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError, ValueError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ConfigError(f"{where}: not readable as YAML: {reason}") from None
