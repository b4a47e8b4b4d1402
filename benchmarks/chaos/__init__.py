"""Faults on purpose: runs that are disturbed, held against one that is not."""
