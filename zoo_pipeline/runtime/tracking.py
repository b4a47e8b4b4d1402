"""Tracking: what a tracker such as MLflow is told of a zoo, without the zoo ever waiting for it."""

import json
import os
import queue
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Thread
from typing import Any

from zoo_pipeline.addresses import without_secrets
from zoo_pipeline.plan import Plan
from zoo_pipeline.runtime.mlflow_run import ADDRESS, MlflowRun, parameters
from zoo_pipeline.runtime.progress import tell_line
from zoo_pipeline.runtime.training import TrainingReport
from zoo_pipeline.store.pulse import pulse
from zoo_pipeline.store.rundir import ANALYSIS, REPORT, SPEC, RunDirectory
from zoo_pipeline.zoo import Zoo

TOLD_EVERY_S = 30.0  # how far training is
ENDS_WITHIN_S = 60.0  # that the last words are waited for
_LONGEST_REASON = 200  # characters
_SUMMARY = "summary.json"

Words = Callable[[MlflowRun], None]


@contextmanager
def tracked(plan: Plan, run: RunDirectory, *, resume: bool) -> Iterator["Tracker"]:
    """Track a zoo in MLflow as long as the block runs; how the block ends is the last that MLflow is told.

    Args:
        plan: of the zoo.
        run: its run directory, claimed.
        resume: go on with the zoo's MLflow run, if there is one.
    """
    tracker = Tracker(plan, run, resume)
    try:
        yield tracker
    except Exception:
        tracker.end("FAILED")
        raise
    except BaseException:  # Ctrl-C, or the system's request to end
        tracker.end("KILLED")
        raise
    tracker.end("FAILED" if tracker.failed else "FINISHED")


class Tracker:
    """Tells MLflow about a zoo, from a thread of its own.

    Where MLflow cannot be reached, that is said in one line, what was to be told is left out, and the next words are
    tried again: training neither waits nor fails.

    Attributes:
        failed: whether groups failed.
    """

    def __init__(self, plan: Plan, run: RunDirectory, resume: bool) -> None:
        self._plan, self._run, self._resume = plan, run, resume
        self._words: queue.SimpleQueue[Words | None] = queue.SimpleQueue()
        self._mlflow: MlflowRun | None = None
        self._described = self._out_of_reach = self._ending = self._given_up = False
        self.failed = False
        self._thread = Thread(target=self._tell, daemon=True)
        self._thread.start()

    def trained(self, report: TrainingReport) -> None:
        """Training is over, for this call."""
        self.failed = bool(report.failures)
        self._words.put(lambda mlflow: self._training(mlflow, report))

    def analysed(self, name: str) -> None:
        """An analysis and its report are written."""
        self._words.put(lambda mlflow: self._analysis(mlflow, name))

    def end(self, status: str) -> None:
        """Tell the last words, for which there is little time."""
        self._ending = True
        self._words.put(lambda mlflow: mlflow.end(status))
        self._words.put(None)
        self._thread.join(ENDS_WITHIN_S)
        if self._thread.is_alive():
            _warn(f"still not told everything after {ENDS_WITHIN_S:.0f} s; the run has it all")

    def _tell(self) -> None:
        self._try(self._begin)
        while True:
            try:
                words = self._words.get(timeout=TOLD_EVERY_S)
            except queue.Empty:
                words = self._progress
            if words is None or self._given_up:
                return
            self._try(words)

    def _try(self, words: Words) -> None:
        try:
            if self._mlflow is None:
                self._mlflow = MlflowRun(self._plan, self._run.root, resume=self._resume)
            if not self._described:  # apart, so that a server which takes no parameter is not asked for run after run
                self._mlflow.params(parameters(self._plan))
                self._described = True
            words(self._mlflow)
        except Exception as error:  # whatever it is, it is no reason to end a zoo
            if not self._out_of_reach:
                reason = without_secrets(f"{type(error).__name__}: {error}".splitlines()[0])[:_LONGEST_REASON]
                _warn(f"cannot be told ({reason}); the zoo goes on without it, and it is tried again")
            self._out_of_reach, self._given_up = True, self._ending
        else:
            self._out_of_reach = False

    def _begin(self, mlflow: MlflowRun) -> None:
        tell_line("tracking", f"MLflow run {mlflow.run_id} at {without_secrets(os.environ[ADDRESS])}")
        mlflow.artifact(SPEC, self._run.files.read(SPEC))

    def _progress(self, mlflow: MlflowRun) -> None:
        said = pulse(self._run)
        if said is None or said["lost"]:
            return
        told = said["model_epochs"]
        done = self._plan.models * self._plan.epochs - told["total"] + told["done"]
        mlflow.metrics({"training/model_epochs": done, "training/model_epochs_per_s": told["per_s"]}, step=done)

    def _training(self, mlflow: MlflowRun, report: TrainingReport) -> None:
        at = self._plan.models * self._plan.epochs
        values = {"training/groups_failed": len(report.failures), "training/seconds": report.wall_s}
        if report.groups:
            values["training/model_epochs_per_s"] = report.model_epochs_per_s
        if not report.failures:
            zoo = Zoo(self._run.root)
            values |= {"training/model_epochs": at, "training/models_diverged": len(zoo.diverged)}
            mlflow.series(_accuracies(zoo))
        mlflow.metrics(values, step=at)

    def _analysis(self, mlflow: MlflowRun, name: str) -> None:
        summary = self._run.files.read(f"{ANALYSIS}/{name}/{_SUMMARY}")
        scores = {f"analysis/{key}": float(value) for key, value in json.loads(summary).items() if _is_number(value)}
        mlflow.metrics(scores, step=0)
        mlflow.artifact(_SUMMARY, summary)
        mlflow.artifact(REPORT, self._run.files.read(REPORT))


def _accuracies(zoo: Zoo) -> dict[str, list[tuple[int, float]]]:
    """Mean, least and largest test accuracy of the zoo's models by epoch."""
    table = zoo.checkpoints().group_by("epoch").aggregate([("test_accuracy", how) for how in ("mean", "min", "max")])
    epochs = table["epoch"].to_pylist()
    return {
        f"zoo/test_accuracy_{how}": sorted(zip(epochs, table[f"test_accuracy_{how}"].to_pylist(), strict=True))
        for how in ("mean", "min", "max")
    }


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _warn(text: str) -> None:
    tell_line("tracking", f"MLflow at {without_secrets(os.environ[ADDRESS])}: {text}")
