import numpy as np
import pytest

from zoo_pipeline.trajectories.branching.attachment import OF_A_BRANCH, measure_attachment

D = 60


def cosine(one, other):
    return one @ other / np.linalg.norm(one) / np.linalg.norm(other)


def walk(rng, start, heading, steps, noise=0.5):
    return start + np.cumsum(heading + noise * rng.standard_normal((steps, D)), axis=0)


@pytest.fixture
def fork():
    """A line of twelve rows, the first two rows of three paths that leave rows 3, 6 and 9, and of one that is apart."""
    rng = np.random.default_rng(0)
    heading = np.eye(1, D)[0]
    line = walk(rng, np.zeros(D), heading, 12)
    heads = np.stack([walk(rng, line[left], heading, 2) for left in (3, 6, 9)] + [rng.standard_normal((2, D)) + 3])
    return line, heads[:, 0], heads[:, 1]


def test_angles_and_distances_are_those_of_a_plain_loop(fork):
    line, first, second = fork
    found = measure_attachment(line, first, second)
    for path in range(len(first)):
        step = second[path] - first[path]
        length = np.linalg.norm(step)
        for row in range(len(line)):
            way = first[path] - line[row]
            log = np.log(np.linalg.norm(way) / length)
            expected = {
                "way": log,
                "back": np.log(np.linalg.norm(first[path] - step - line[row]) / length),
                "turn": cosine(way, step),
                "unlike": abs(log),
                "with_next": cosine(way, line[min(row + 1, 11)] - line[min(row, 10)]),
                "with_last": cosine(way, line[max(row, 1)] - line[max(row - 1, 0)]),
                "near": log**2 if log < 0 else 0.0,
                "last": float(row == 11),
            }
            assert {name: found[name][path, row] for name in expected} == pytest.approx(expected)


def test_a_step_is_carried_as_far_as_its_new_part_is_in_the_path(fork):
    """Of each step, what no combination of two steps on either side and of the path's own first tells."""
    line, first, second = fork
    found = measure_attachment(line, first, second)
    steps = np.diff(line, axis=0)
    for path in range(len(first)):
        carried = []
        for step in range(11):
            beside = [steps[other] for other in range(step - 2, step + 3) if other != step and 0 <= other < 11]
            known = np.stack([*beside, second[path] - first[path]], axis=1)
            new = steps[step] - known @ np.linalg.lstsq(known, steps[step], rcond=None)[0]
            way = first[path] - (line[step] + line[step + 1]) / 2
            carried.append(float(np.clip(way @ new / (new @ new), -0.5, 0.5)))
        np.testing.assert_allclose(found["carried_last"][path], [0.5, *carried])
        np.testing.assert_allclose(found["carried_next"][path], [*carried, -0.5])
        expected = [sum(carried[:row]) - sum(carried[row:]) for row in range(12)]
        np.testing.assert_allclose(found["carried"][path], expected, atol=1e-9)


def test_a_path_carries_the_steps_before_its_fork_and_none_after_it(fork):
    line, first, second = fork
    carried = measure_attachment(line, first, second)["carried"][:3]
    assert carried.argmax(axis=1).tolist() == [3, 6, 9]


def test_the_row_that_a_branch_left_is_found_where_every_step_adds_something_new():
    """On random walks, which the weights are not fitted to: none is more than a row off, and few are."""
    off = []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        heading = 2 * np.eye(1, D)[0]
        line = walk(rng, np.zeros(D), heading, 14)
        left = 2 + seed % 10
        head = walk(rng, line[left], heading, 2)
        off.append(abs(int(OF_A_BRANCH.scores(measure_attachment(line, head[:1], head[1:])).argmax()) - left))
    assert max(off) <= 1
    assert np.mean(off) < 0.3


@pytest.mark.parametrize("seed", range(10))
def test_a_piece_that_goes_on_where_a_line_ends_is_put_there(seed):
    rng = np.random.default_rng(seed)
    whole = walk(rng, np.zeros(D), 2 * np.eye(1, D)[0], 16)
    measured = measure_attachment(whole[:12], whole[[12]], whole[[13]])
    assert OF_A_BRANCH.scores(measured).argmax() == 11


def test_scaling_turning_and_shifting_changes_nothing(fork):
    turn, _ = np.linalg.qr(np.random.default_rng(1).standard_normal((D, D)))
    plain = measure_attachment(*fork)
    moved = measure_attachment(*(0.01 * rows @ turn + 4.0 for rows in fork))
    for name, values in plain.items():
        np.testing.assert_allclose(moved[name], values, atol=1e-7)


def test_paths_are_measured_each_for_itself(fork):
    line, first, second = fork
    together = measure_attachment(line, first, second)
    alone = measure_attachment(line, first[2:3], second[2:3])
    for name, values in together.items():
        np.testing.assert_allclose(values[2:3], alone[name])


def test_a_path_that_repeats_a_row_or_a_step_of_the_line_gets_finite_scores():
    line = np.cumsum(np.eye(5), axis=0)
    first, second = line[[2]], line[[3]]  # begins on the line, by the line's own step
    for values in measure_attachment(line, first, second).values():
        assert np.isfinite(values).all()


def test_a_line_of_two_rows_is_measured_as_the_beginning_of_a_longer_one(fork):
    """Its one step has none beside it, so that all of it counts."""
    line, first, second = fork
    found = measure_attachment(line[:2], first, second)
    step, own = line[1] - line[0], second - first
    share = own @ step / np.square(own).sum(axis=1)
    new = step - share[:, None] * own
    carried = np.einsum("nr,nr->n", first - line[:2].mean(axis=0), new) / np.square(new).sum(axis=1)
    np.testing.assert_allclose(found["carried_next"][:, 0], np.clip(carried, -0.5, 0.5))
    longer = measure_attachment(line, first, second)
    for name in ("way", "back", "turn", "unlike", "near"):
        np.testing.assert_allclose(found[name], longer[name][:, :2])


def test_rows_that_are_one_in_coordinates_are_measured_all_the_same(fork):
    """Distinct weights may differ in their last bits alone."""
    line, first, second = fork
    for on_line, ahead in ((line, first), (np.repeat(line, 2, axis=0), second), (np.zeros_like(line), 0 * first)):
        measured = measure_attachment(on_line, ahead if on_line is line else 0 * first, 0 * first)
        assert all(np.isfinite(values).all() for values in measured.values())
        assert np.isfinite(OF_A_BRANCH.scores(measured)).all()
