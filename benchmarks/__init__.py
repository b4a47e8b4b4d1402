"""Speed and quality studies: each prints one JSON line last, with both sides of a comparison measured in one run."""
