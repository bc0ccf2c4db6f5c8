"""The benchmarks of `make bench`: each row times helioloop and a plain reference for the same work, in one run.

`rows` has the rows and what they should reach, `timing` takes the times, `document` writes them; every other module has
the two sides of some rows.
"""
