"""Checkpoints and runs in the formats that other people's code reads; docs/export.md describes them."""
