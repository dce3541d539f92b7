"""Trace Linen modules, and express them as graphs of Keras layers."""
