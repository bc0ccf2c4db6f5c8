"""From labelled cubes to a trained ensemble and its scores. Needs torch, except for `recipes`, `folds` and `plan`.

Read `plan` first (which members train on which cubes), then `recipes`, `networks`, `inputs` (what a network takes),
`augmentation`, `training` (one member) and `ensemble` (all members; who scores which cube).
"""
