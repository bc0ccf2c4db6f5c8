"""Access to Label Studio.

Read `port` first: the calls that the loop makes. `client` makes them to a real Label Studio, over `transport`; those
that read tasks are in `task_calls`, those that set a project up in `setup_calls`. `fake` answers them in memory, from
`fake_projects`, `fake_annotators`, `fake_setup` and `fake_configuration`. `project` reads a project as records; `setup`
prepares a project, with the further calls of `setup_port`, and `setup_checks` tries it.
"""
