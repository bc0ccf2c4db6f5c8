"""Model folders on disk: versions, their scores, and the labels as last read; without torch.

Read `versions` first, then `card` (how a version was trained), `publications` (which version is published, and which
were), `staging` (rounds that are not finished), `score_store` (scores of the cubes), `trained_fields` (field statistics
of the cubes trained on), `label_snapshot` (current labels, written by the worker for all other readers),
`project_controls` (class words and names of controls of the project), `unscorable` (cubes that a version could not
score), `parked_jobs` (jobs that nothing tries again), `root_identity` (of the folder of all model folders) and
`folder_format` (the format number that all of these check).
"""
