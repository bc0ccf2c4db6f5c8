"""Model folders on disk: versions, their scores, and the labels as last read. No torch.

Read `versions` first (cards, the pointer to the published version, staging), then `score_store` (what a version says of
each cube) and `label_snapshot` (current labels, left there by the worker for everyone else).
"""
