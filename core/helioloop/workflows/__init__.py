"""Whole tasks, from a release to a version or a table; what the commands call.

Read `releases` first (train and score a release). `rounds` makes and closes one round, over all cores with `parallel`;
`prelabel` labels a new release where the ensemble is sure; `experiment`, `simulate` and `benchmark` measure the method
on releases whose truth is known.
"""
