"""Hostile and odd input, drawn by hypothesis: what it may do to the package, and what must never come of it."""
