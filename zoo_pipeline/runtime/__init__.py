"""Running the work: on Ray or in this process. The only package that imports ray, and only where it is used."""
