"""Speed of single operations in fdl, XLA's implementation, PyTorch and TensorFlow."""
