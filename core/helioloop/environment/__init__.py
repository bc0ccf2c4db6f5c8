"""Environment variables: which name gives which setting, secrets from files, and rules for credentials.

Read `names` first, then `reading`, which finds the variable of each setting; `helioloop.settings` has the settings
themselves. `foreign_names` lists variables of other programs that helioloop ignores.
"""
