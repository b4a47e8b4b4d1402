"""The other ways to train the same models: Ray Tune as published, plain PyTorch, and JAX."""
