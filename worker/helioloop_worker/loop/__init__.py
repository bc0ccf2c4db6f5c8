"""The steps of the loop, each safe to repeat: release in, round, predictions out.

In the order of the data: `ingest` and `video` (a release becomes tasks), `retrain_policy` and `retrain_check` (does a
round start?), `rounds` (its jobs), `writeback` (predictions into Label Studio), `reconcile` (periodic repair).
"""
