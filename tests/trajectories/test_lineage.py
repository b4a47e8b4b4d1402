import numpy as np
import pytest

from zoo_pipeline.trajectories import lineage as module
from zoo_pipeline.trajectories.branching.branches import Branches
from zoo_pipeline.trajectories.content import canonical_order, content_numbers
from zoo_pipeline.trajectories.direction import Direction
from zoo_pipeline.trajectories.lineage import lineage, lineages

D = 60


def walk(rng, start, heading, steps):
    """Checkpoints from `start`: a drift that slows down, and noise of each walk's own."""
    drift = heading * (0.8 ** np.arange(steps))[:, None]
    return start + np.cumsum(drift + 0.15 * rng.standard_normal((steps, D)), axis=0)


def told(rows):
    """The lineage of rows, as the numbers of the rows given."""
    rows = np.asarray(rows, np.float32)
    order = canonical_order(rows)
    found = lineage(rows[order], content_numbers(rows[order]), None)
    return [order[path].tolist() for path in found.paths], found, order


@pytest.fixture
def start():
    """A root and the way that everything moves away from it."""
    rng = np.random.default_rng(0)
    return rng, rng.standard_normal(D), rng.standard_normal(D)


def test_a_path_with_repeated_checkpoints_stays_one_trajectory(start):
    rng, root, heading = start
    path = np.concatenate([root[None], walk(rng, root, heading, 12)])
    paths, found, _ = told(np.concatenate([path, path[[5]]]))
    assert len(paths) == 1
    places = {row: place for place, row in enumerate(paths[0])}
    assert abs(places[5] - places[13]) == 1
    forward = [row for row in paths[0] if row != 13]
    assert forward in (list(range(13)), list(range(13))[::-1])
    assert found.parent_path.tolist() == found.parent_row.tolist() == [-1]


def test_copies_of_a_shared_start_go_one_to_each_trajectory(start):
    rng, root, heading = start
    walks = [walk(rng, root, heading, 8) for _ in range(4)]
    rows = np.concatenate([np.repeat(root[None], 4, axis=0), *walks])
    paths, found, order = told(rows)
    assert sorted(sorted(path[1:]) for path in paths) == [list(range(4 + 8 * k, 12 + 8 * k)) for k in range(4)]
    assert all(path[1:] == sorted(path[1:]) for path in paths)
    assert sorted(path[0] for path in paths) == [0, 1, 2, 3]
    assert found.parent_path.tolist() == [-1] * 4
    assert found.confidence[np.argsort(order)[:4]].tolist() == [0] * 4


def test_a_family_with_several_starts_is_told_start_by_start(start):
    """As the same draws at other scales make them."""
    rng, root, heading = start
    roots = [root, 4 * root]
    rows = [np.repeat(one[None], 4, axis=0) for one in roots]
    rows += [walk(rng, one, heading, 8) for one in roots for _ in range(4)]
    paths, found, _ = told(np.concatenate(rows))
    assert sorted(sorted(path[1:]) for path in paths) == [list(range(8 + 8 * k, 16 + 8 * k)) for k in range(8)]
    assert all((path[0] < 4) == (path[1] < 40) for path in paths)
    assert sorted(path[0] for path in paths) == list(range(8))
    assert found.parent_path.tolist() == [-1] * 8


def test_rows_that_were_kept_several_times_are_no_starts(start):
    rng, root, heading = start
    line = root + heading * np.linspace(0, 1, 30)[:, None]
    assert len(told(np.concatenate([line, *[line[[5, 20]]] * 2]))[0]) == 1
    noisy = line + 0.4 * rng.standard_normal(line.shape)
    assert len(told(np.concatenate([noisy, noisy[[5, 20]]]))[0]) == 1
    every = np.repeat(noisy, 3, axis=0)
    assert len(told(every)[0]) == 1


def test_a_fork_names_its_parent_and_the_checkpoint_it_left(start):
    rng, root, heading = start
    parent = np.concatenate([root[None], walk(rng, root, heading, 14)])
    child = walk(rng, parent[6], 0.8**6 * rng.standard_normal(D), 8)
    paths, found, order = told(np.concatenate([parent, child]))
    assert sorted(map(sorted, paths)) == [list(range(15)), list(range(15, 23))]
    number = [sorted(path) for path in paths].index(list(range(15, 23)))
    assert order[found.parent_row[number]] == 6
    assert sorted(paths[found.parent_path[number]]) == list(range(15))


def test_lineages_of_several_families_are_put_together_by_their_first_rows(start):
    rng, root, heading = start
    rows = np.concatenate([walk(rng, root, heading, 6), walk(rng, -root, heading, 7)]).astype(np.float32)
    found = lineages(rows, np.arange(13), [np.arange(6, 13), np.arange(6)], None)
    assert [sorted(path.tolist()) for path in found.paths] == [list(range(6)), list(range(6, 13))]
    trajectory, position = found.places
    assert trajectory.tolist() == [0] * 6 + [1] * 7
    assert sorted(position[:6]) == list(range(6))
    assert found.length.tolist() == [6, 7]
    assert found.parent_path.tolist() == found.parent_row.tolist() == [-1, -1]
    assert found.confidence.tolist() == [1] * 13


def test_an_empty_bag_has_no_lineage():
    assert lineages(np.zeros((0, 3), np.float32), np.zeros(0, int), [], None).paths == []


def test_a_direction_against_the_tree_is_not_claimed(monkeypatch):
    """Where the cues say that a family's trajectories run towards its root, nothing is known about the direction."""
    branches = Branches([np.arange(4)], np.array([-1]), np.array([-1]), np.ones(4), oriented=True)
    monkeypatch.setattr(module, "decide_direction", lambda path, layout: Direction(False, 0.99, True))
    verdict = module._shared_direction(np.zeros((4, 3), np.float32), branches, None)
    assert (verdict.forward, verdict.confidence, verdict.decided) == (True, 0.5, False)
