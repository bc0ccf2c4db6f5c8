"""Whole tasks, from a release to a version or a table; the commands call them.

Read `releases` first (train and score a release); `score_table` writes the scores. `rounds` makes a version, with
`parallel` on all cores. `prelabel` labels a new release where the ensemble is certain, and `drift` tells whether that
release is like those trained on, by the statistics that `fields` keeps with a version. `experiment`, `simulate` and
`benchmark` measure the method on releases whose truth is known.
"""
