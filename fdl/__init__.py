"""Classic deep learning as pure functions in JAX."""
