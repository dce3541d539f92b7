"""Benchmarks of fdl and other frameworks. Not part of the package."""
