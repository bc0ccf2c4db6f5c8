"""Learning: from labelled cubes to a trained ensemble and its scores.

Start with `plan` (which members train on which cubes) and `recipes`, which need no torch. Then read `architecture` (the
interface of a network with its input and masking), `per_frame` (the default), `training` (one network;
`joint_training`: several at once on a GPU), `members` (trains those of a plan) and `ensemble` (which of them score
which cube).
"""
