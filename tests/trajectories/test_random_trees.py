"""Recovered trees against networkx, on random trees whose edges are known, and on random points."""

import networkx as nx
import numpy as np
import pytest
from scipy.cluster.hierarchy import cophenet
from scipy.spatial.distance import squareform

from zoo_pipeline.trajectories.distances import cosine_distances
from zoo_pipeline.trajectories.linkage import SpanningTree, linkage_table, minimum_spanning_edges, spanning_tree
from zoo_pipeline.trajectories.recovery import recover


def random_tree(n, seed):
    """A random labelled tree with lengths, the distances along it, and its edges."""
    rng = np.random.default_rng(seed)
    tree = nx.random_labeled_tree(n, seed=seed)
    for one, other in tree.edges:
        tree.edges[one, other]["weight"] = float(rng.integers(1, 1_000)) / 8  # sums are exact
    along = dict(nx.all_pairs_dijkstra_path_length(tree))
    return tree, np.array([[along[one][other] for other in range(n)] for one in range(n)])


def edge_set(edges):
    return {frozenset(edge) for edge in np.asarray(edges).tolist()}


def widest(tree, n):
    """The longest edge on the path between every two nodes of a tree: where single linkage joins them."""
    found = np.zeros((n, n))
    for one in range(n):
        for parent, child in nx.bfs_edges(tree, one):
            found[one, child] = max(found[one, parent], tree.edges[parent, child]["weight"])
    return found


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("n", [2, 3, 17, 60])
def test_the_edges_of_a_random_tree_are_found_again_from_distances_along_it(n, seed):
    tree, distances = random_tree(n, seed)
    assert edge_set(minimum_spanning_edges(distances)) == edge_set(list(tree.edges))


@pytest.mark.parametrize("seed", range(5))
def test_the_linkage_of_a_random_tree_joins_nodes_at_the_longest_edge_between_them(seed):
    n = 40
    tree, distances = random_tree(n, seed)
    edges = minimum_spanning_edges(distances)
    heights = distances[edges[:, 0], edges[:, 1]]
    ascending = np.argsort(heights, kind="stable")
    table = linkage_table(SpanningTree(edges[ascending], heights[ascending]))
    assert sorted(table[:, 2]) == sorted(length for *_, length in tree.edges(data="weight"))
    np.testing.assert_array_equal(squareform(cophenet(table)), widest(tree, n))


@pytest.mark.parametrize("seed", range(3))
def test_checkpoints_that_grow_on_a_random_tree_give_its_edges(seed):
    # Each edge adds a direction of its own: what lies nearest to a node lies beside it in the tree.
    n = 50
    tree = nx.random_labeled_tree(n, seed=seed)
    rng = np.random.default_rng(seed)
    weights = np.zeros((n, n + 1))
    weights[:, -1] = 20
    for parent, child in nx.bfs_edges(tree, 0):
        weights[child] = weights[parent]
        weights[child, child] = rng.uniform(0.5, 1)
    distances = cosine_distances(weights.astype(np.float32))
    complete = nx.from_numpy_array(distances.astype(np.float64))
    oracle = nx.minimum_spanning_tree(complete, algorithm="kruskal")
    found = spanning_tree(distances, weights.astype(np.float32))
    assert edge_set(found.edges) == edge_set(list(oracle.edges))


@pytest.mark.parametrize("seed", range(3))
def test_the_edges_and_heights_of_a_recovery_are_those_of_networkx(seed):
    weights = np.random.default_rng(seed).standard_normal((70, 12)).astype(np.float32)
    found = recover(weights)
    rows = np.argsort(found.leaf)[found.edges]
    unit = weights / np.linalg.norm(weights.astype(np.float64), axis=1, keepdims=True)
    distances = 1 - unit @ unit.T
    np.fill_diagonal(distances, 0)
    oracle = nx.minimum_spanning_tree(nx.from_numpy_array(distances), algorithm="prim")
    assert edge_set(rows) == edge_set(list(oracle.edges))
    heights = sorted(length for *_, length in oracle.edges(data="weight"))
    np.testing.assert_allclose(found.linkage[:, 2], heights, rtol=1e-6)
    by_row = squareform(cophenet(found.linkage))[np.ix_(found.leaf, found.leaf)]
    np.testing.assert_allclose(by_row, widest(oracle, len(weights)), rtol=1e-6)
