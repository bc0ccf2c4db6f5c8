"""Label Studio's JSON and helioloop's records: configurations and annotations in, predictions out.

Pure: no client, no network. Read `tasks` first (which cube a task shows), then `config` (the names of the controls),
`annotations` (annotations in, the current label out) and `predictions` (a score in, a prediction out).
"""
