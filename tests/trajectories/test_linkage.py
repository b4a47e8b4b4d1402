import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.cluster.hierarchy import cophenet, is_valid_linkage, linkage
from scipy.spatial.distance import pdist, squareform

from zoo_pipeline.trajectories.distances import cosine_distances
from zoo_pipeline.trajectories.linkage import linkage_table, minimum_spanning_edges, spanning_tree


def table_of(weights):
    return linkage_table(spanning_tree(cosine_distances(weights), weights))


@pytest.mark.parametrize("n", [2, 3, 10, 200])
def test_equals_scipy_without_ties(n):
    weights = np.random.default_rng(n).standard_normal((n, 20)).astype(np.float32)
    expected = linkage(pdist(weights.astype(np.float64), "cosine"), "single")
    np.testing.assert_allclose(table_of(weights), expected, rtol=1e-9)


@settings(deadline=None, max_examples=50)
@given(arrays(np.float32, st.tuples(st.integers(2, 25), st.just(2)), elements=st.sampled_from([1.0, 2.0, 3.0])))
def test_joins_at_the_same_heights_as_scipy_with_duplicates_and_ties(weights):
    table = table_of(weights)
    expected = linkage(pdist(weights.astype(np.float64), "cosine").clip(min=0), "single")
    assert is_valid_linkage(table)
    np.testing.assert_allclose(cophenet(table), cophenet(expected), atol=1e-12)


def test_edges_of_length_zero_survive():
    weights = np.array([[1, 0], [0, 1], [1, 0], [0, 1], [1, 0]], np.float32)
    table = table_of(weights)
    assert table[:, 2].tolist() == [0, 0, 0, 1]
    assert table[-1, 3] == 5


def test_spanning_edges_have_the_least_total_length():
    points = np.random.default_rng(0).standard_normal((40, 3))
    distances = squareform(pdist(points))
    edges = minimum_spanning_edges(distances)
    assert distances[edges[:, 0], edges[:, 1]].sum() == pytest.approx(linkage(points, "single")[:, 2].sum())
    assert sorted(edges[:, 1]) == list(range(1, 40))


@pytest.mark.parametrize("n", [0, 1])
def test_fewer_than_two_rows_have_no_edge(n):
    weights = np.ones((n, 3), np.float32)
    assert table_of(weights).shape == (0, 4)
