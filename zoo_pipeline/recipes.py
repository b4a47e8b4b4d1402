"""Recipes: named configurations in YAML, read strictly, with every mistake reported at once."""

import json
import re
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from zoo_pipeline.config import ZooConfig
from zoo_pipeline.errors import ConfigError

# In a checkout (also one shipped as a Ray working directory) recipes lie in jobs/; a wheel carries them inside.
_FOLDERS = (Path(__file__).parents[1] / "jobs" / "recipes", Path(__file__).parent / "recipes")
_MAX_BYTES = 1 << 20


def recipe_names() -> list[str]:
    """Names of the recipes that come with the project, sorted."""
    return sorted({path.stem for folder in _FOLDERS if folder.is_dir() for path in folder.glob("*.yaml")})


def load_config(source: str, overrides: Sequence[str] = ()) -> ZooConfig:
    """Read a recipe by name or path and apply `a.b=value` overrides.

    Raises:
        ConfigError: no such recipe, not YAML, or not a valid configuration; one line for every mistake.
    """
    try:
        text = _find(source).read_bytes()
    except OSError as error:
        raise ConfigError(f"{source}: cannot be read: {error.strerror}") from None
    tree = _parse(text, where=source)
    if not isinstance(tree, dict):
        raise ConfigError(f"{source}: expected a mapping with the keys name and zoo, got {type(tree).__name__}")
    for override in overrides:
        _override(tree, override)
    return validate(tree, where=source)


def validate(tree: dict[str, Any], where: str) -> ZooConfig:
    """A configuration from plain values.

    Raises:
        ConfigError: one line for every mistake: dotted path, value, what is allowed, nearest spelling.
    """
    try:
        text = json.dumps(tree)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{where}: holds a value that is neither number, text, list nor mapping: {error}") from None
    try:
        return ZooConfig.model_validate_json(text)
    except ValidationError as error:
        lines = [f"{where}: {_line(details)}" for details in error.errors(include_url=False)]
        raise ConfigError("\n".join(lines)) from None


def _find(source: str) -> Path:
    path = Path(source)
    if path.suffix in (".yaml", ".yml"):
        if not path.is_file():
            raise ConfigError(f"{source}: no such file; name a recipe ({', '.join(recipe_names())}) or a YAML file")
        if path.stat().st_size > _MAX_BYTES:
            raise ConfigError(f"{source}: larger than {_MAX_BYTES} bytes; a recipe is a page of YAML")
        return path
    for folder in _FOLDERS:
        if source in recipe_names() and (folder / f"{source}.yaml").is_file():
            return folder / f"{source}.yaml"
    raise ConfigError(
        f"{source}: no such recipe{_nearest(source, recipe_names())}; "
        f"expected one of {', '.join(recipe_names())}, or a path that ends in .yaml"
    )


def _override(tree: dict[str, Any], override: str) -> None:
    path, separator, text = override.partition("=")
    keys = path.split(".")
    if not separator or not all(keys):
        raise ConfigError(f"--set {override}: expected a.b=value, such as zoo.training.epochs=5")
    for key in keys[:-1]:
        tree = tree.setdefault(key, {})
        if not isinstance(tree, dict):
            raise ConfigError(f"--set {override}: {key} is a value, not a mapping; check the dotted path")
    tree[keys[-1]] = _parse(text.encode(errors="surrogateescape"), where=f"--set {path}=…")


class _Loader(yaml.SafeLoader):
    """YAML's safe types, with 1e-3 read as the number it is, and without aliases and repeated keys."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("aliases (*name) are not used in recipes")
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        repeated = {str(key) for key in keys if keys.count(key) > 1}
        if repeated:
            raise yaml.MarkedYAMLError(problem=f"repeats the key {', '.join(repeated)}", problem_mark=node.start_mark)
        return super().construct_mapping(node, deep)


_Loader.add_implicit_resolver(  # PyYAML follows YAML 1.1, where 1e-3 is text
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+$"), list("-+.0123456789")
)


def _parse(text: bytes, where: str) -> Any:
    try:
        return yaml.load(text, _Loader)
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError, ValueError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ConfigError(f"{where}: not readable as YAML: {reason}") from None


def _line(details: ErrorDetails) -> str:
    """One validation error as one line: path, value, expectation, nearest spelling."""
    location = details["loc"]
    path = ".".join(str(part) for part in location) or "(top level)"
    if details["type"] == "extra_forbidden":
        allowed = list(_part_at(location[:-1]).model_fields)
        return f"{path}: unknown key{_nearest(str(location[-1]), allowed)}; expected one of {', '.join(allowed)}"
    if details["type"] == "missing":
        return f"{path}: missing; add it"
    message = details["msg"].removeprefix("Value error, ")
    if details["type"] == "value_error":
        return f"{path}: {message}"
    value = details["input"]
    expected = str(details.get("ctx", {}).get("expected", ""))
    nearest = _nearest(value, re.findall(r"'([^']+)'", expected)) if isinstance(value, str) else ""
    return f"{path}: got {json.dumps(value)[:80]}{nearest}; {message[0].lower()}{message[1:]}"


def _part_at(location: Sequence[int | str]) -> type[BaseModel]:
    """The configuration class at a dotted path."""
    part: type[BaseModel] = ZooConfig
    for key in location:
        part = next(_classes(part.model_fields[str(key)].annotation))
    return part


def _classes(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _classes(argument)


def _nearest(word: str, allowed: Sequence[str]) -> str:
    matches = get_close_matches(word, allowed, n=1, cutoff=0.5)
    return f" (did you mean {matches[0]}?)" if matches else ""
