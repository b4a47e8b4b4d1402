"""Does a run survive? Kills and storage errors at random moments, and what is left of the run."""
