"""`zoo import`, the command."""

from zoo_pipeline.arguments import (
    ExecutorName,
    Git,
    GitPath,
    NamePattern,
    Out,
    Overwrite,
    RayAddress,
    Resume,
    Sources,
    Storage,
    Strict,
)
from zoo_pipeline.imports import ImportOptions, import_checkpoints
from zoo_pipeline.messages import tell_import
from zoo_pipeline.store.options import StorageOptions, use_storage_options


def import_all(
    out: Out,
    sources: Sources = None,
    pattern: NamePattern = None,
    git: Git = None,
    path: GitPath = None,
    strict: Strict = False,
    resume: Resume = False,
    overwrite: Overwrite = False,
    executor: ExecutorName = "ray",
    ray_address: RayAddress = None,
    storage: Storage = [],  # noqa: B006
) -> None:
    """Make a run of anybody's checkpoints; what names say of models and epochs is kept as a claim."""
    use_storage_options(StorageOptions.parse(storage))
    options = ImportOptions(
        tuple(sources or ()), out, pattern, git, path, strict, resume, overwrite, executor, ray_address
    )
    tell_import(import_checkpoints(options))
