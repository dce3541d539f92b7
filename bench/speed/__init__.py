"""How fast the same training runs in fdl, Keras, PyTorch and plain Flax."""
