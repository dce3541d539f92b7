"""Graphs of Keras layers: read from files or models, and run as one Linen module."""
