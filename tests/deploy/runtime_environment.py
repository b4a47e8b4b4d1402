"""Faults of a runtime environment that Ray takes: it does not refuse keys that it does not know."""

import re
from pathlib import PurePosixPath
from typing import Any

from checkout import ROOT

KEYS = {
    *("working_dir", "py_modules", "excludes", "env_vars", "pip", "uv", "conda", "config"),
    *("py_executable", "image_uri", "worker_process_setup_hook"),
}


def runtime_faults(document: dict[str, Any]) -> list[str]:
    """What is wrong with it, for a job whose nodes have all libraries already."""
    found = [f"runtime_env: unknown key {key}" for key in sorted(document.keys() - KEYS)]
    # Libraries come with the node: what a job brings is installed again on every new node, and may be another Ray.
    found += [f"runtime_env: {key} belongs to the nodes' setup" for key in ("pip", "uv", "conda") if key in document]
    found += [
        f"runtime_env: {name} is no name of a variable"
        for name in document.get("env_vars", {})
        if not re.fullmatch("[A-Z_]+", name)
    ]
    for place in document.get("excludes", []):
        if not re.fullmatch("/[^/]+/", place):
            found.append(f"runtime_env: {place} is not one folder at the top of the repository")
        if PurePosixPath(place).name in ("zoo_pipeline", "jobs"):
            found.append(f"runtime_env: without {place} nothing runs")
    return found


def at_the_top() -> set[str]:
    """The folders of the checkout, as excludes name them."""
    return {f"/{path.name}/" for path in ROOT.iterdir() if path.is_dir()}
