"""The steps of the loop, from a release to predictions in Label Studio. Each can be repeated.

In the order of the data: `ingest` (a release becomes tasks; `crude_labels` follow its table), `retrain_check` (is a
round due?), `planning` (cubes are prepared and the round starts), `rounds` and `round_steps` (its jobs), `scoring`
(cubes that came later), `writeback` (predictions into Label Studio), `reconcile` (periodic repair).
"""
