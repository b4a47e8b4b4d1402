"""Fuzzing: hostile and odd input through the functions and commands that read it.

python -m benchmarks.fuzz --cases N [--seed S] [--target NAME]
"""

import argparse
import faulthandler
import json
import os
import sys
import tempfile
import time
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

os.environ["RAY_AUTH_MODE"] = "disabled"  # before ray is imported
os.environ["RAY_USAGE_STATS_ENABLED"] = "0"

import hypothesis
import torch
from hypothesis import HealthCheck, Phase, given, settings

from benchmarks.fuzz.cases import Target, targets
from benchmarks.fuzz.example import make_example
from benchmarks.fuzz.verdicts import ACCEPTED, DAMAGE, DOCUMENTED, HANG, TRACEBACK, UNEXPLAINED, Finding
from benchmarks.machine import hardware

_KINDS = (DOCUMENTED, ACCEPTED, HANG, TRACEBACK, DAMAGE, UNEXPLAINED)
_DEAF_S = 60  # a case that does not hear the alarm ends the command, which then has no JSON line
_SHOWN = 2_500  # characters of a finding, and of its case


def main() -> None:
    """Judge so many cases, and print one JSON line last."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--target", help="this one alone")
    options = parser.parse_args()
    torch.set_num_threads(1)
    started = time.perf_counter()
    cases, total = {}, Counter[str]()
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = targets(make_example(Path(folder) / "run"))
        for name, target in found.items():
            if options.target in (None, name):
                tally = judge(
                    name, target, round(options.cases * (1 if options.target else target.share)), options.seed
                )
                cases[name] = tally.total()
                total += tally
    figures = {
        "cases": cases,
        "all": total.total(),
        **{kind: total[kind] for kind in _KINDS},
        "seed": options.seed,
        "wall_s": round(time.perf_counter() - started, 1),
    }
    print(json.dumps({**figures, "hypothesis": hypothesis.__version__, "machine": hardware("cpu")}))


def judge(name: str, target: Target, cases: int, seed: int) -> Counter[str]:
    """What came of so many cases; what must not is told on stderr."""
    tally: Counter[str] = Counter()

    def one(case: Any) -> None:
        if tally.total() >= cases:
            return
        faulthandler.dump_traceback_later(_DEAF_S, exit=True, file=2)
        try:
            tally[target.judge(case)] += 1
        except Finding as finding:
            tally[finding.kind] += 1
            print(f"{name}: {str(finding)[-_SHOWN:]}\n  case: {case!r:.{_SHOWN}}", file=sys.stderr)
        finally:
            faulthandler.cancel_dump_traceback_later()

    while tally.total() < cases:  # hypothesis ends before, where it has drawn all that there is
        often = settings(
            max_examples=cases - tally.total(),
            phases=[Phase.generate],
            database=None,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        )
        hypothesis.seed(seed + tally.total())(often(given(target.cases)(one)))()
    return tally


if __name__ == "__main__":
    main()
