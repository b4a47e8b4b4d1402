"""The rules that keep the house in order, read from the source: who may import whom, and how long a module may be.

Imports are read at every level of a file, inside functions and `if TYPE_CHECKING:` too: a dependency that is deferred
is still a dependency.
"""

import ast
import subprocess
import sys
import tomllib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "zoo_pipeline"

# Rooms of the package, top floor first. A room may import rooms of its own floor (without circles) and of those below.
FLOORS = (
    ("__main__",),
    ("cli", "submitting"),
    ("arguments", "messages", "export_command", "import_command"),
    ("mending", "workflow", "planning", "tables", "exports", "imports"),
    ("runtime",),
    ("learning",),
    ("zoo", "sources", "datasets", "exporting", "importing"),
    ("trajectories", "store", "report"),
    ("training",),  # below: the scenarios of `trajectories` are trained
    ("data", "models", "formats"),
    ("recipes", "expansion", "mistakes"),
    (
        "plan",
        "computation",
        "task_memory",
        "sizing",
        "ranges",
        "points",
        "config",
        "axes",
        "architecture",
        "addresses",
        "counts",
        "digests",
        "hyperparameters",
        "places",
        "dataset_facts",
        "errors",
        "splits",
        "stopwatch",
        "version",
    ),
)
FLOOR_OF = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}

PURE = ("training", "trajectories", "models")  # they run on a bare GPU machine, which has these libraries alone:
NUMERICAL = {"numpy", "scipy", "sklearn", "torch"}
# What a format of data needs where data of that format are read; imported by the functions that read them, not before.
FORMATS = {
    "zoo_pipeline.data.encoded": {"PIL"},
    "zoo_pipeline.data.hub": {"datasets"},
    "zoo_pipeline.data.parquet": {"pyarrow"},
}
NOT_PURE = ("PIL", "datasets", "fsspec", "plotly", "pyarrow", "pydantic", "ray")
LONGEST_MODULE = 300
LONGEST_JOB = 40


def modules() -> dict[str, Path]:
    """Every module of the package by its dotted name."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


MODULES = modules()
JOBS = sorted((ROOT / "jobs").glob("*.py"))


def imports(path: Path) -> Iterator[str]:
    """Dotted names that a file imports, at any level; `from a import b` gives a.b where that is a module of ours."""
    for node in ast.walk(ast.parse(path.read_text(), filename=str(path))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            source = node.module or ""
            assert node.level == 0, f"{path}:{node.lineno}: relative import; write the whole name"
            for alias in node.names:
                inner = f"{source}.{alias.name}"
                yield inner if inner in MODULES else source


def room(module: str) -> str:
    """The folder or top-level file that a module of the package belongs to; "" for the package itself."""
    return module.partition(".")[2].partition(".")[0]


def inner_imports(module: str) -> set[str]:
    """Modules of the package that one of them imports; the package's own `__init__` (PEP 562) is left out."""
    return {name for name in imports(MODULES[module]) if name in MODULES and room(name)} - {module}


def closure(start: set[str]) -> set[str]:
    """All modules of the package that loading these can load, parent packages included."""
    seen: set[str] = set()
    pending = set(start)
    while pending:
        module = pending.pop()
        seen.add(module)
        parents = {module.rpartition(".")[0]} if room(module) != module.partition(".")[2] else set()
        pending |= (inner_imports(module) | parents) - seen
    return seen


def circle(edges: dict[str, set[str]]) -> list[str]:
    """One circle of a directed graph, its first node repeated at the end; empty where there is none."""
    done: set[str] = set()

    def visit(node: str, path: list[str]) -> list[str]:
        if node in path:
            return [*path[path.index(node) :], node]
        if node in done:
            return []
        for following in sorted(edges.get(node, ())):
            if found := visit(following, [*path, node]):
                return found
        done.add(node)
        return []

    return next((found for node in sorted(edges) if (found := visit(node, []))), [])


def test_every_room_has_a_floor() -> None:
    assert {room(name) for name in MODULES} - {""} - FLOOR_OF.keys() == set()


@pytest.mark.parametrize("module", [name for name in MODULES if room(name)])
def test_imports_run_downwards(module: str) -> None:
    above = [name for name in inner_imports(module) if FLOOR_OF[room(name)] < FLOOR_OF[room(module)]]
    assert above == [], f"{module} imports from a floor above"


def test_no_circles_between_rooms() -> None:
    edges: dict[str, set[str]] = {}
    for module in MODULES:
        edges.setdefault(room(module), set()).update(room(name) for name in inner_imports(module))
    assert circle({source: targets - {source} for source, targets in edges.items() if source}) == []


def test_no_circles_between_modules() -> None:
    assert circle({module: inner_imports(module) for module in MODULES if room(module)}) == []


def test_a_circle_is_found() -> None:
    assert circle({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == ["b", "c", "b"]


def test_only_the_runtime_and_the_jobs_import_ray() -> None:
    users = {name for name, path in MODULES.items() if any(item.partition(".")[0] == "ray" for item in imports(path))}
    assert users, "no module imports ray: is this test reading the right files?"
    assert {room(name) for name in users} == {"runtime"}


@pytest.mark.parametrize("start", PURE)
def test_pure_rooms_reach_only_numerical_libraries(start: str) -> None:
    reached = closure({name for name in MODULES if room(name) == start})
    allowed = NUMERICAL | sys.stdlib_module_names | {"zoo_pipeline"}
    impure = {
        f"{module} imports {name}"
        for module in reached
        for name in imports(MODULES[module])
        if name.partition(".")[0] not in allowed | FORMATS.get(module, set())
    }
    assert impure == set()


def test_the_plan_is_pure() -> None:
    reached = closure({"zoo_pipeline.plan"})
    outside = {name.partition(".")[0] for module in reached for name in imports(MODULES[module])}
    assert outside & {"ray", "torch", "pyarrow", "fsspec", "pathlib", "os"} == set()


def test_nothing_imports_from_the_package_itself() -> None:
    users = {name for name, path in MODULES.items() if "zoo_pipeline" in set(imports(path))}
    assert users <= {"zoo_pipeline"}


def _python(program: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)


def test_pure_rooms_load_where_the_other_libraries_are_missing() -> None:
    names = [name for name in MODULES if room(name) in PURE]
    assert {room(name) for name in names} == set(PURE)
    result = _python(
        "import importlib, sys\n"
        f"sys.modules.update(dict.fromkeys({NOT_PURE}))\n"  # None: importing it raises, as if it were not installed
        f"for name in {names}: importlib.import_module(name)\n"
        f"print(sorted(name for name in {NOT_PURE} if sys.modules[name]))"
    )
    assert (result.returncode, result.stdout.strip()) == (0, "[]"), result.stderr


def test_a_bare_gpu_machine_trains_and_recovers() -> None:
    result = _python(
        "import sys\n"
        f"sys.modules.update(dict.fromkeys({NOT_PURE}))\n"
        "from zoo_pipeline.architecture import Architecture\n"
        "from zoo_pipeline.data import load_dataset\n"
        "from zoo_pipeline.hyperparameters import Hyperparameters\n"
        "from zoo_pipeline.training import Member, train_group\n"
        "from zoo_pipeline.trajectories import recover\n"
        "network = Architecture('mlp', (1, 8, 8), 10, hidden=(16,))\n"
        "how = Hyperparameters('adam', 1e-3, 64, 4)\n"
        "history = train_group(network, [Member(seed, how) for seed in (0, 1, 2)], load_dataset('digits'))\n"
        "print(recover(history.weights.reshape(15, -1)).length.tolist())"
    )
    assert (result.returncode, result.stdout.strip()) == (0, "[5, 5, 5]"), result.stderr


def test_a_missing_library_is_noticed() -> None:
    result = _python(f"import sys; sys.modules.update(dict.fromkeys({NOT_PURE})); import zoo_pipeline.config")
    assert result.returncode == 1
    assert "pydantic" in result.stderr


def test_importing_the_package_loads_nothing_heavy() -> None:
    result = _python(
        "import sys, zoo_pipeline\n"
        "print(sorted({'numpy', 'pyarrow', 'pydantic', 'ray', 'scipy', 'sklearn', 'torch'} & sys.modules.keys()))"
    )
    assert (result.returncode, result.stdout.strip()) == (0, "[]"), result.stderr


def test_public_names_are_all_there() -> None:
    result = _python("import zoo_pipeline as zoo\nfor name in zoo.__all__: assert getattr(zoo, name) is not None, name")
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("module", MODULES)
def test_modules_stay_small(module: str) -> None:
    assert len(MODULES[module].read_text().splitlines()) <= LONGEST_MODULE


def test_a_class_name_means_one_thing() -> None:
    named = Counter(
        node.name
        for path in MODULES.values()
        for node in ast.walk(ast.parse(path.read_text(), filename=str(path)))
        if isinstance(node, ast.ClassDef)
    )
    assert [name for name, times in named.items() if times > 1] == []


@pytest.mark.parametrize("job", JOBS, ids=lambda path: path.name)
def test_jobs_are_thin(job: Path) -> None:
    assert len(job.read_text().splitlines()) <= LONGEST_JOB
    assert {name.partition(".")[0] for name in imports(job)} <= {"os", "pathlib", "sys", "ray", "zoo_pipeline"}


def test_the_wheel_lists_every_package() -> None:
    setuptools = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    folders = {name for name, path in MODULES.items() if path.name == "__init__.py"}
    assert set(setuptools["packages"]) == folders | {"zoo_pipeline.recipes"}
    assert setuptools["package-dir"]["zoo_pipeline.recipes"] == "jobs/recipes"
    recipes = ROOT / "jobs" / "recipes"
    carried = {path for pattern in setuptools["package-data"]["zoo_pipeline.recipes"] for path in recipes.glob(pattern)}
    assert carried == set(recipes.rglob("*.yaml"))
