"""The demo: the whole loop on one machine, with real services.

Read `demo` first (the command's steps). `services` starts Redis, Label Studio, backend and workers, each as a `process`
with its `credentials`; `leftovers` stops those of a demo that was killed; `progress` tells when the first predictions
are shown; `summary` prints what was done.
"""
