"""Frozen records that the other packages exchange: names, numbers and units, without arrays.

Read `cubes` first, then `labels`, `scores`, `instrument` (the grid of its cubes), `profiles`
(an archive's magnetograms and their grid) and `field_statistics` (noise and field of a cube).
"""
