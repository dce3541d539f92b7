"""Measurements of fdl, and of other frameworks beside it. Not part of the package."""
