"""How fast single operations are in fdl, XLA's own form, PyTorch and TensorFlow."""
