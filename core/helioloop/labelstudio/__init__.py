"""Label Studio's JSON read into records, and records written as Label Studio's JSON; without network.

Read `tasks` first (the cube that a task shows), then `config` (the names of the controls), `annotations` (annotations
to a current label) and `predictions` (a score to a prediction).
"""
