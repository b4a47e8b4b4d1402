"""Branching: one family of checkpoints unfolded into the trajectories that branch from each other."""
