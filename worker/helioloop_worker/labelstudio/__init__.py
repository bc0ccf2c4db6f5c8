"""Access to Label Studio.

Read `port` first: the calls that the loop makes. `client` makes them to a real Label Studio, over `transport`; `fake`
answers them in memory. `project` reads a project as records; `setup` prepares a project, with the further calls of
`setup_port`, and `setup_checks` tries it.
"""
