"""The dataset card of a run, README.md of the hub's folder: everything in it is counted or copied from the run."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import yaml

from zoo_pipeline.counts import plural
from zoo_pipeline.exporting.hub import DATA, FINAL
from zoo_pipeline.exporting.rows import Layouts
from zoo_pipeline.models.layout import Layout
from zoo_pipeline.store.columns import BUFFERS, CHECKPOINT_COLUMNS, IMPORTED_COLUMNS, MODEL_COLUMNS, Column
from zoo_pipeline.store.rundir import is_imported

CARD = "README.md"
UNKNOWN = "unknown"
_SIZES = (10**3, 10**4, 10**5, 10**6, 10**7, 10**8, 10**9)
_UNDESCRIBED = Column("", "as whoever made the run has it in models.parquet")
_OF_THE_SOURCE = Column("", "as the files say that were imported")
_MOST_TENSORS = 200  # that are listed


@dataclass(frozen=True)
class SplitSize:
    """How much a split holds."""

    models: int
    rows: int
    files: int


@dataclass(frozen=True)
class Facts:
    """What a card tells.

    Attributes:
        spec: the content of spec.json.
        schema: the columns.
        layouts: of the vectors.
        splits: by name, in order.
        epochs: the least and the greatest of those that are known; −1: none is.
        complete: whether the run has all that was planned, and all of it is exported.
        license: the hub's identifier of it, or unknown.
    """

    spec: Mapping[str, Any]
    schema: pa.Schema
    layouts: Layouts
    splits: Mapping[str, SplitSize]
    epochs: tuple[int, int]
    complete: bool
    license: str = UNKNOWN

    @property
    def rows(self) -> int:
        """Number of checkpoints."""
        return sum(split.rows for split in self.splits.values())

    @property
    def models(self) -> int:
        """Number of models."""
        return sum(split.models for split in self.splits.values())


def card(facts: Facts) -> str:
    """The dataset card: YAML front matter, then Markdown."""
    name = _line(facts.spec["name"])
    parts = [
        f"---\n{yaml.safe_dump(_front_matter(facts), sort_keys=False, allow_unicode=True)}---",
        f"# {name}",
        *([_line(str(facts.spec["description"]))] if facts.spec.get("description") else []),
        _counts(facts),
        "## Splits",
        _table(
            ("split", "models", "rows", "files"),
            [
                (f"`{split}`", f"{has.models:,}", f"{has.rows:,}", f"{has.files:,}")
                for split, has in facts.splits.items()
            ],
        ),
        "All checkpoints of a model are in one split.",
        "## Columns",
        _table(
            ("column", "type", "unit", "meaning"),
            [_column_row(field, facts) for field in facts.schema],
        ),
        "## How it was made",
        _made(facts.spec),
        "## How to read it",
        _reading(facts),
        "## Layout of the weights",
        "Tensors follow each other without gaps, flattened in C order; offsets count elements.",
        _layout(facts.layouts.weights),
        *(["## Layout of the buffers", _layout(facts.layouts.buffers)] if facts.layouts.buffers is not None else []),
        "## How to cite",
        _citation(facts),
    ]
    return "\n\n".join(parts) + "\n"


def size_category(rows: int) -> str:
    """The hub's word for a number of rows.

    >>> size_category(1664), size_category(999), size_category(2_585_360)
    ('1K<n<10K', 'n<1K', '1M<n<10M')
    """
    words = ["1K", "10K", "100K", "1M", "10M", "100M", "1B"]
    at = sum(rows >= size for size in _SIZES)
    if at == 0:
        return f"n<{words[0]}"
    return f"{words[at - 1]}<n<{words[at]}" if at < len(words) else f"n>{words[-1]}"


def _front_matter(facts: Facts) -> dict[str, Any]:
    return {
        "license": facts.license,
        "pretty_name": _line(facts.spec["name"]),
        "size_categories": [size_category(facts.rows)],
        "tags": ["model-zoo", "neural-network-weights", "weight-space-learning", "zoo_pipeline"],
        "configs": [
            {
                "config_name": "default",
                "data_files": [{"split": split, "path": f"{DATA}/{split}-*.parquet"} for split in facts.splits],
            }
        ],
    }


def _counts(facts: Facts) -> str:
    first, last = facts.epochs
    epochs = f", epochs {first} to {last}," if last >= 0 else ","  # of a step alone
    weights = facts.layouts.weights
    told = (
        f"{plural(facts.rows, 'checkpoint')} of {plural(facts.models, 'neural network')}{epochs} "
        f"each with its {plural(weights.dimension, 'weight')} in {plural(len(weights.tensors), 'tensor')}, one a row."
    )
    planned = facts.spec.get("checkpoints")
    if not facts.complete and isinstance(planned, int):
        told += f" The zoo has {planned:,} checkpoints; these are a selection."
    return told


def _column_row(field: pa.Field, facts: Facts) -> tuple[str, ...]:
    if is_imported(facts.spec):
        column = IMPORTED_COLUMNS.get(field.name, _OF_THE_SOURCE)
    elif field.name == "buffers":
        column = BUFFERS
    elif field.name in CHECKPOINT_COLUMNS:
        column = CHECKPOINT_COLUMNS[field.name]
    elif field.name.removeprefix(FINAL) in CHECKPOINT_COLUMNS:
        of = field.name.removeprefix(FINAL)
        column = Column(CHECKPOINT_COLUMNS[of].unit, f"`{of}` after the model's last epoch")
    else:
        column = MODEL_COLUMNS.get(field.name, _UNDESCRIBED)
    return f"`{_line(field.name)}`", str(field.type).replace("|", "\\|"), column.unit, column.meaning


def _made(spec: Mapping[str, Any]) -> str:
    """What spec.json says, as far as it does."""
    facts = {
        "specification": f"`{spec['spec_hash']}`",
        "created": spec.get("created"),
        "versions": ", ".join(f"{library} {number}" for library, number in _versions(spec).items()),
        "image shape": spec.get("image_shape"),
        "classes": spec.get("classes"),
    }
    lines = [f"- {name}: {_line(str(value))}" for name, value in facts.items() if value]
    if not isinstance(spec.get("spec"), dict):
        return "\n".join(lines)
    text = json.dumps(spec["spec"], indent=1, ensure_ascii=False)
    intro = "From this specification; the columns above have the hyperparameters of each model:"
    return "\n".join([*lines, "", intro, "", "```json", text, "```"])


def _reading(facts: Facts) -> str:
    split = next(iter(facts.splits))
    tensor = facts.layouts.weights.tensors[0]
    shape = ", ".join(map(str, tensor.shape))
    return f"""```python
import numpy as np
from datasets import load_dataset

checkpoints = load_dataset("FOLDER_OR_REPOSITORY", split="{split}")
checkpoint = checkpoints[0]
weights = np.asarray(checkpoint["weights"], dtype=np.float32)
tensor = weights[{tensor.offset}:{tensor.offset + tensor.size}].reshape({shape})  # {_line(tensor.name)}
print(checkpoint["model_id"], checkpoint["epoch"], weights.shape, tensor.shape)
```"""


def _layout(layout: Layout) -> str:
    rows = [
        (f"`{_line(tensor.name)}`", str(list(tensor.shape)), str(tensor.offset), str(tensor.size))
        for tensor in layout.tensors[:_MOST_TENSORS]
    ]
    more = len(layout.tensors) - len(rows)
    return _table(("tensor", "shape", "offset", "elements"), rows) + (f"\n\n… and {more:,} more" if more else "")


def _citation(facts: Facts) -> str:
    spec = facts.spec
    made = _versions(spec).get("zoo_pipeline")
    fields = {
        "title": f"{{{_line(spec['name'])}}}",
        "year": str(spec["created"])[:4] if spec.get("created") else None,
        "note": f"model zoo, {plural(facts.rows, 'checkpoint')}, specification {spec['spec_hash']}"
        + (f", made by zoo\\_pipeline {made}" if made else ""),
    }
    text = ",\n".join(f"  {name} = {{{value}}}" for name, value in fields.items() if value)
    return f"```bibtex\n@misc{{zoo-{spec['spec_hash'][:12]},\n{text}\n}}\n```"


def _versions(spec: Mapping[str, Any]) -> dict[str, Any]:
    found = spec.get("versions")
    return found if isinstance(found, dict) else {}


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _line(text: str) -> str:
    """Text that stays within its line and its cell."""
    return " ".join(text.split()).replace("|", "\\|")
