"""Checkpoints from elsewhere: where they lie, what their names claim, and the runs that they become."""
