"""What users read where Ray gives up: one line, and nothing of our functions in it."""

import pytest
from ray.core.generated.common_pb2 import ActorDiedErrorContext
from ray.exceptions import (
    ActorDiedError,
    GetTimeoutError,
    NodeDiedError,
    OutOfMemoryError,
    RayError,
    RaySystemError,
    UnserializableException,
    WorkerCrashedError,
)

from zoo_pipeline.errors import UnfinishedError
from zoo_pipeline.runtime.aggregate import _Aggregate
from zoo_pipeline.runtime.ray_words import MOST_CHARACTERS, unfinished

KILLED = "Task was killed due to the node running low on memory.\n(name=_with_threads, pid=1, memory used=9GB)"
TRACE = (
    "Original exception:\nray.exceptions.RayTaskError: \x1b[36mray::_Aggregate.apply()\x1b[39m (pid=1)\n"
    '  File "x.py", line 3, in _aggregated\n    raise Odd(1, 2)\nOdd: two\nlines'
)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (WorkerCrashedError(), "its worker died as often as it was begun again"),
        (
            ActorDiedError(ActorDiedErrorContext(class_name="_Aggregate", actor_id=b"0" * 16)),
            "its worker died as often as it was begun again",
        ),
        (NodeDiedError("gone while running _with_threads"), "its worker died as often as it was begun again"),
        (OutOfMemoryError(KILLED), "its worker took more memory than the machine had left"),
        (UnserializableException(TRACE), "Original exception: Odd: two lines"),
        (RaySystemError("client\x1b[36m side\x1b[39m\nerror"), "System error: client side error"),
        (GetTimeoutError(), "GetTimeoutError"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, RayError) else "",
)
def test_ray_giving_up_is_told_in_a_line_of_words(error, said):
    told = unfinished(error, "analysis")
    assert type(told) is UnfinishedError
    assert str(told).startswith("analysis: Ray could not finish it: ")
    assert said in str(told)
    assert len(str(told).splitlines()) == 1
    assert not any(name in str(told).lower() for name in ("_aggregate", "_with_threads", "ray::", "\x1b"))


def test_long_texts_are_cut():
    assert len(str(unfinished(RaySystemError("x" * 9_000), "training"))) < MOST_CHARACTERS + 60


def test_lines_that_actors_print_are_headed_by_what_they_do():
    assert repr(object.__new__(_Aggregate)) == "analysis"  # its __init__ asks Ray, which would start one
