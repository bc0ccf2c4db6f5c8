"""The only door to Label Studio.

Read `port` first: what the loop asks of Label Studio. `client` asks the real one through `transport`, `fake` answers in
memory. `project` reads a project as records; `setup` prepares one.
"""
