"""The same models in each framework, one file each.

Each file has `Twin`, made of a case and a setting of its row in `bench.speed.rows`,
with the methods that `bench.speed.twin` describes.
"""
