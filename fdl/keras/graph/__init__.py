"""Graphs of Keras layers: read from a file or a model, and run as one Linen module."""
