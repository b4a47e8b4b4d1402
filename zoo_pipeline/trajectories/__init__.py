"""Trajectories: recover the history of a bag of checkpoints from their weights, describe it, score it.

    weights ──separation──▶ trajectories ──ordering──▶ paths ──direction──▶ positions     `recover`
    positions ──▶ step lengths, turning angles, curvature …                               `bag_geometry`
    positions + truth ──▶ figures                                                         `score`, `score_trajectories`

Everything but the scoring is blind: it sees the weights and, for the direction, which columns are which tensor.
Arrays in, arrays out; numpy, scipy, scikit-learn and torch only.
"""

from zoo_pipeline.trajectories.approximate import recover_in_shares
from zoo_pipeline.trajectories.direction import Direction, decide_direction
from zoo_pipeline.trajectories.distances import MOST_CHECKPOINTS, cosine_distances
from zoo_pipeline.trajectories.geometry import Geometry, bag_geometry, path_geometry
from zoo_pipeline.trajectories.linkage import SpanningTree, linkage_table, spanning_tree
from zoo_pipeline.trajectories.modes import mode_of, recover_exactly
from zoo_pipeline.trajectories.ordering import order_along_path
from zoo_pipeline.trajectories.recovery import Recovery, recover
from zoo_pipeline.trajectories.scoring import Scores, TrajectoryScores, score, score_trajectories
from zoo_pipeline.trajectories.separation import Separation, separate

__all__ = [
    "MOST_CHECKPOINTS",
    "Direction",
    "Geometry",
    "Recovery",
    "Scores",
    "Separation",
    "SpanningTree",
    "TrajectoryScores",
    "bag_geometry",
    "cosine_distances",
    "decide_direction",
    "linkage_table",
    "mode_of",
    "order_along_path",
    "path_geometry",
    "recover",
    "recover_exactly",
    "recover_in_shares",
    "score",
    "score_trajectories",
    "separate",
    "spanning_tree",
]
