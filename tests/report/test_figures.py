from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from fake_zoo import fake_zoo
from scipy.cluster.hierarchy import cophenet, dendrogram, leaves_list, linkage
from scipy.spatial.distance import squareform

from zoo_pipeline.report.bands import Series, band_figure
from zoo_pipeline.report.curves import geometry_panels
from zoo_pipeline.report.dendrogram import leaf_profile, profile_panel, zoom_panel
from zoo_pipeline.report.order import order_panel
from zoo_pipeline.report.paths import MOST_POINTS, MOST_TRAJECTORIES, paths_panel


@pytest.fixture(scope="module")
def tree():
    return linkage(np.random.default_rng(1).normal(size=(40, 3)), "single")


def test_leaves_stand_in_the_order_of_scipys_dendrogram(tree):
    order, _ = leaf_profile(tree)
    assert order.tolist() == dendrogram(tree, no_plot=True)["leaves"] == leaves_list(tree).tolist()


def test_leaves_meet_at_the_highest_point_between_them(tree):
    order, heights = leaf_profile(tree)
    meeting = squareform(cophenet(tree))[np.ix_(order, order)]
    for left in range(0, 40, 7):
        for right in range(left + 1, 40, 5):
            assert heights[left:right].max() == meeting[left, right]


def test_a_long_chain_needs_no_recursion():
    m = 5_000
    chain = np.array([[i + 1, m + i - 1 if i else 0, float(i + 1), i + 2] for i in range(m - 1)])
    order, heights = leaf_profile(chain)
    assert sorted(order) == list(range(m))
    assert heights[0] == m - 1


def test_teeth_and_jumps_share_the_leaves():
    zoo = fake_zoo(6, 10, 50)
    teeth, jumps, cut = profile_panel(zoo).figure.data
    assert len(jumps.x) == 5
    assert np.isnan(teeth.y).sum() == 5
    assert jumps.y.min() > cut.y[0] > np.nanmax(teeth.y)
    assert cut.name == "cut at 0.310"


def test_brackets_of_the_zoomed_dendrogram_join_every_leaf_once():
    zoo = fake_zoo(4, 10, 50)
    panel = zoom_panel(zoo)
    brackets = panel.figure.data[:-1]
    tops = np.concatenate([np.reshape(trace.y, (-1, 5))[:, 1] for trace in brackets])
    assert np.allclose(np.sort(tops), np.sort(zoo.linkage[:, 2]))
    corners = np.concatenate([np.reshape(trace.x, (-1, 5))[:, [0, 2]] for trace in brackets])
    feet = np.concatenate([np.reshape(trace.y, (-1, 5))[:, [0, 3]] for trace in brackets])
    assert sorted(corners[feet == feet.min()]) == list(range(40))


def test_a_trajectory_longer_than_the_window_is_cut():
    panel = zoom_panel(fake_zoo(2, 300, 20))
    assert panel.figure.layout.xaxis.range[1] == 160


def test_paths_are_thinned_and_say_so():
    many = paths_panel(fake_zoo(MOST_TRAJECTORIES + 15, 4, 12))
    lines, starts, ends = many.figure.data
    assert len(starts.x) == len(ends.x) == MOST_TRAJECTORIES
    assert len(lines.x) == len(lines.line.color) == len(lines.hovertext) == MOST_TRAJECTORIES * 5
    assert "60 of 75 trajectories are drawn" in many.caption
    assert "At most" not in many.caption

    long = paths_panel(fake_zoo(2, MOST_POINTS * 3, 12))
    assert len(long.figure.data[0].x) == 2 * (MOST_POINTS + 1)
    assert f"At most {MOST_POINTS} checkpoints" in long.caption
    assert "are drawn, evenly" not in long.caption


def test_order_of_long_trajectories_is_counted_in_cells():
    panel = order_panel(fake_zoo(3, 500, 12, swapped=1))
    counts = np.concatenate([trace.customdata for trace in panel.figure.data if trace.name])
    assert counts.sum() == 1_500
    assert len(counts) <= 92
    assert "in steps of 6" in panel.caption


def test_the_profile_of_a_huge_tree_is_thinned():
    zoo = fake_zoo(3, 6, 20)
    m = 60_000
    chain = np.array([[i + 1, m + i - 1 if i else 0, i + 1.0, i + 2] for i in range(m - 1)])
    leaf = pa.array(np.full(18, -1, dtype=np.int32))
    assignments = zoo.assignments.set_column(zoo.assignments.column_names.index("leaf"), "leaf", leaf)
    panel = profile_panel(replace(zoo, linkage=chain, assignments=assignments))
    teeth = panel.figure.data[0]
    assert len(teeth.y) == 20_000
    assert teeth.y[0] == m - 1
    assert "highest of 3 neighbours" in panel.caption


def test_starts_and_ends_are_the_first_and_last_positions():
    zoo = fake_zoo(3, 7, 30)
    _, starts, ends = paths_panel(zoo).figure.data
    assert np.array_equal(starts.x, zoo.embedding[::7, 0])
    assert np.array_equal(ends.x, zoo.embedding[6::7, 0])


def test_order_tells_the_misplaced_from_the_rest():
    figure = order_panel(fake_zoo(20, 10, 30, swapped=3, undecided=2)).figure
    named = {trace.name: trace for trace in figure.data if trace.name}
    assert set(named) == {"in its place (194)", "elsewhere (6)"}
    wrong = named["elsewhere (6)"]
    assert sorted(zip(wrong.x, wrong.y, wrong.customdata, strict=True)) == [(3, 4, 3), (4, 3, 3)]


def test_order_compares_ranks_where_epochs_are_missing():
    zoo = fake_zoo(4, 6, 20)
    column = zoo.assignments.column_names.index("epoch")
    epochs = np.asarray(zoo.assignments["epoch"].to_numpy() * 5 + 5, dtype=np.int32)
    object.__setattr__(zoo, "assignments", zoo.assignments.set_column(column, "epoch", [epochs]))
    assert [trace.name for trace in order_panel(zoo).figure.data if trace.name] == ["in its place (24)"]


def test_bands_hold_the_middle_of_the_models():
    models, epochs = 101, 3
    line = np.repeat(np.arange(models), epochs)
    time = np.tile(np.arange(epochs), models)
    values = line * 1.0 + 100 * time
    values[time == 2] = np.nan
    figure = band_figure([Series("loss", "#000000", time, line, values)], x_title="epoch", y_title="loss")
    band, middle = figure.data
    assert middle.x.tolist() == [0, 1]
    assert middle.y.tolist() == [50.0, 150.0]
    assert band.y.tolist() == [90.0, 190.0, 110.0, 10.0]


def test_few_models_are_drawn_one_by_one_and_wide_ranges_logarithmically():
    time, line = np.array([0, 1, 0, 1]), np.array([0, 0, 1, 1])
    figure = band_figure(
        [Series("loss", "#000000", time, line, np.array([10.0, 0.01, 20.0, 0.02]))], x_title="epoch", y_title="loss"
    )
    assert len(figure.data) == 3
    assert figure.layout.yaxis.type == "log"


def test_turning_angles_are_shown_in_degrees():
    zoo = fake_zoo(30, 6, 40)
    angles = np.degrees(np.asarray(zoo.geometry["turning_angle"].to_numpy(zero_copy_only=False)).reshape(30, 6))
    middle = geometry_panels(zoo)[1].figure.data[-1]
    assert np.allclose(middle.y, np.median(angles[:, 1:5], axis=0))
