"""The same models in each framework, one file for each.

Each file defines `Twin`, created from a case and a setting of its row in
`bench.speed.rows`, with the interface of `bench.speed.twin`.
"""
