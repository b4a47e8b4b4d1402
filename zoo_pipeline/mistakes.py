"""Validation of plain values as a configuration: every mistake at once, each in one line."""

import json
import re
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from zoo_pipeline.addresses import without_secrets
from zoo_pipeline.axes import NO_AXES, Axes
from zoo_pipeline.config import ZooConfig
from zoo_pipeline.errors import ConfigError


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
        # A list of wrong items is also called too short; that is no second mistake.
        mistakes = [
            each for each in error.errors(include_url=False) if not (each["type"] == "too_short" and each["input"])
        ]
        lines = [f"{where}: {_line(details)}" for details in mistakes]
        raise ConfigError(*lines) from None


def nearest(word: str, allowed: Sequence[str]) -> str:
    """The likeliest spelling in brackets, with a space before; empty where none is near."""
    matches = get_close_matches(word, allowed, n=1, cutoff=0.5)
    return f" (did you mean {matches[0]}?)" if matches else ""


def _line(details: ErrorDetails) -> str:
    """One validation error as one line: path, value, expectation, nearest spelling."""
    location = details["loc"]
    path = ".".join(str(part) for part in location) or "(top level)"
    if details["type"] == "extra_forbidden":
        part, key = _part_at(location[:-1]), str(location[-1])
        if issubclass(part, Axes) and key in NO_AXES:
            return f"{path}: {key} {NO_AXES[key]}"
        allowed = list(part.model_fields)
        return f"{path}: unknown key{nearest(key, allowed)}; expected one of {', '.join(allowed)}"
    if details["type"] == "missing":
        return f"{path}: missing; add it"
    message = details["msg"].removeprefix("Value error, ")
    if details["type"] == "value_error":
        return f"{path}: {message}"
    value = details["input"]
    expected = str(details.get("ctx", {}).get("expected", ""))
    near = nearest(value, re.findall(r"'([^']+)'", expected)) if isinstance(value, str) else ""
    return f"{path}: got {without_secrets(json.dumps(value))[:80]}{near}; {message[0].lower()}{message[1:]}"


def _part_at(location: Sequence[int | str]) -> type[BaseModel]:
    """The configuration class at a dotted path; numbers in it count along lists, whose parts are all alike."""
    part: type[BaseModel] = ZooConfig
    for key in location:
        if isinstance(key, str):
            part = next(_classes(part.model_fields[key].annotation))
    return part


def _classes(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _classes(argument)
