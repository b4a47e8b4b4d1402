"""Claims against weights: recovered trajectories are given, and what is claimed of their rows is held against them."""

from dataclasses import replace

import numpy as np
import pytest

from zoo_pipeline.trajectories import recover
from zoo_pipeline.trajectories.claims import hold_claims


@pytest.fixture
def recovery(trained_zoo):
    """Of three trained models with their epochs in order, in the order of the rows."""
    chosen = np.flatnonzero(trained_zoo.model_id < 3)
    found = recover(trained_zoo.weights[chosen], trained_zoo.layout)
    assert len(found.length) == 3
    return found, trained_zoo.model_id[chosen].astype(np.int64), trained_zoo.epoch[chosen].astype(np.int64)


def test_true_claims_are_as_claimed(recovery):
    found, model, epoch = recovery
    findings = hold_claims(model, epoch, found)
    assert [(each.model, each.agrees, each.text) for each in findings] == [(m, True, "as claimed") for m in range(3)]
    assert sum(each.rows for each in findings) == len(model)


def test_a_folder_with_two_runs_in_a_row_restarts(recovery):
    found, model, epoch = recovery
    last = int(epoch.max())
    claimed = np.where(model == 1, 0, model)
    times = np.where(model == 1, epoch + last + 1, epoch)
    first, second = hold_claims(claimed, times, found)
    assert not first.agrees
    assert first.text == f"0 to {last} and {last + 1} to {2 * last + 1} are 2 runs: it restarts at {last + 1}"
    assert second.agrees


def test_one_run_under_two_names_is_found(recovery):
    found, model, epoch = recovery
    claimed = np.where((model == 0) & (epoch > 3), 7, model)
    findings = {each.model: each for each in hold_claims(claimed, epoch, found)}
    assert findings[0].text == "one run with {7}"
    assert findings[7].text == "one run with {0}"
    assert findings[1].agrees


def test_files_under_each_others_names_are_found(recovery):
    found, model, epoch = recovery
    swapped = epoch == 2
    claimed = np.where(swapped & (model == 0), 1, np.where(swapped & (model == 1), 0, model))
    assert [each.text for each in hold_claims(claimed, epoch, found)] == ["2 is of {1}", "2 is of {0}", "as claimed"]
    moved = np.where((epoch == 2) | (epoch == 4), 1, model)
    texts = [each.text for each in hold_claims(moved, epoch, found)]
    assert texts == ["as claimed", "2 and 4 are of {0}; 2 and 4 are of {2}", "as claimed"]
    nameless = hold_claims(moved, np.full_like(epoch, -1), found)
    assert nameless[1].text == "2 of its checkpoints are of {0}; 2 of its checkpoints are of {2}"


def test_a_swapped_epoch_is_named(recovery):
    found, model, epoch = recovery
    found = replace(found, direction_decided=np.ones(3, bool))
    times = epoch.copy()
    times[np.flatnonzero((model == 1) & (epoch == 2))] = 99
    finding = next(each for each in hold_claims(model, times, found) if each.model == 1)
    assert finding.text == "what is called 99 lies before 3"
    assert not finding.agrees


def test_what_claims_nothing_is_no_finding(recovery):
    found, model, epoch = recovery
    assert hold_claims(np.full_like(model, -1), epoch, found) == []
    unknown = hold_claims(model, np.full_like(epoch, -1), found)
    assert all(each.agrees for each in unknown)
