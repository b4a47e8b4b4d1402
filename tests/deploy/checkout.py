"""What the deployment's files must agree with: this checkout, its pins and its wheel."""

import copy
import re
from pathlib import Path
from typing import Any

from zoo_pipeline.version import __version__

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "docs" / "deploy"
WHEEL = f"zoo_pipeline-{__version__}-py3-none-any.whl"
_LINES = (ROOT / "constraints.txt").read_text().splitlines()
PINS = dict(line.split("==") for line in _LINES if "==" in line and not line.startswith("#"))
IMAGES = {"cpu": f"rayproject/ray:{PINS['ray']}-py311", "gpu": f"rayproject/ray:{PINS['ray']}-py311-gpu"}
# What every node and every driver has in its environment.
ENVIRONMENT = {"RAY_AUTH_MODE": "token", "RAY_task_oom_retries": "3"}


def project_names(requirements: list[str]) -> set[str]:
    """The names of requirements, without extras and versions."""
    return {re.split(r"[\[<>=!~; ]", requirement, maxsplit=1)[0].lower() for requirement in requirements}


def planted(document: dict[str, Any], path: str | tuple[str, ...], value: object) -> dict[str, Any]:
    """A copy of the document with another value at a/b/0/c, or at ("a", "b", "0", "c")."""
    changed = copy.deepcopy(document)
    *parents, last = path.split("/") if isinstance(path, str) else path
    part: Any = changed
    for key in parents:
        part = part[int(key) if isinstance(part, list) else key]
    part[int(last) if isinstance(part, list) else last] = value
    return changed
