"""The commands of the worker's installation, one module per group.

`options` declares what several commands share; `runtime` builds what training and scoring work with. Heavy modules are
imported inside the commands, so that ``--help`` is quick.
"""
