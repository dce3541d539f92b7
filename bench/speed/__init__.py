"""Speed of the same training in fdl, Keras, PyTorch and plain Flax."""
