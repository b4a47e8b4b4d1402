"""A few hundred of the cases of `python -m benchmarks.fuzz`, shrunk where one of them fails."""

import time

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from benchmarks.fuzz import __main__ as command
from benchmarks.fuzz import verdicts
from benchmarks.fuzz.cases import Target
from benchmarks.fuzz.verdicts import (
    ACCEPTED,
    DOCUMENTED,
    HANG,
    TRACEBACK,
    UNEXPLAINED,
    Finding,
    asked,
    check_lines,
)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("name", "cases"), [("configurations", 100), ("idx", 100), ("datasets", 100), ("shards", 25), ("documents", 12)]
)
def test_hostile_input_gets_a_documented_answer(name, cases, judged):
    found = set()

    @settings(
        max_examples=cases,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    @given(judged[name].cases)
    def judge(case):
        found.add(judged[name].judge(case))

    judge()
    assert DOCUMENTED in found, "nothing of all that is hostile was refused: is it drawn at all?"
    assert found <= {DOCUMENTED, ACCEPTED}


def test_what_must_not_be_is_counted_and_told(judged, capsys):
    def failing():
        raise ZeroDivisionError

    target = Target(judged["idx"].cases, lambda case, place: asked(failing).verdict, 1)
    assert dict(command.judge("odd", target, 7, 0)) == {TRACEBACK: 7}
    assert "ZeroDivisionError" in capsys.readouterr().err


def test_a_hang_is_counted(judged, monkeypatch):
    monkeypatch.setattr(verdicts, "LONGEST_S", 0.05)
    target = Target(judged["idx"].cases, lambda case, place: asked(lambda: time.sleep(60)).verdict, 1)
    assert dict(command.judge("odd", target, 2, 0)) == {HANG: 2}


@pytest.mark.parametrize("text", ["", "a\n\nb", "a\x1b[2Jb", "x" * 5_000])
def test_a_message_that_is_no_line_is_found(text):
    with pytest.raises(Finding, match=UNEXPLAINED):
        check_lines(text)
