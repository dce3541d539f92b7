"""Linen modules as graphs of Keras layers, by tracing them."""
