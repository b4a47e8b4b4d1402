"""A stand-in for torch in simulated workers, which never compute: a hundred with torch do not fit into one machine."""

import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any


class _Classes(type):
    """Classes whose attributes are such classes, too."""

    def __getattr__(cls, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return _Classes(name, (Anything,), {})


class Anything(metaclass=_Classes):
    """A class, function, decorator or constant that does nothing."""

    def __init__(self, *_given: Any, **_named: Any) -> None:
        pass

    def __call__(self, *given: Any, **_named: Any) -> Any:
        """As a decorator, it changes nothing."""
        return given[0] if given else self


class _Module(ModuleType):
    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return _Classes(name, (Anything,), {})


class _Finder(MetaPathFinder, Loader):
    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,  # noqa: ARG002
        target: ModuleType | None = None,  # noqa: ARG002
    ) -> Any:
        return ModuleSpec(fullname, self, is_package=True) if fullname.partition(".")[0] == "torch" else None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return _Module(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        pass


def install() -> None:
    """Let this process import the stand-in; runs before all else in a worker."""
    sys.meta_path.insert(0, _Finder())
