"""Frozen records that the other packages exchange: names, numbers and units, without arrays.

Read `cubes` first, then `labels`, `scores`, `instrument` (the grid of its cubes) and `profiles`
(an archive's magnetograms and their grid).
"""
