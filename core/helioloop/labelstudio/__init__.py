"""Label Studio's JSON read into records, and records written as Label Studio's JSON; without network.

Read `tasks` first (the cube that a task shows), then `config` (the controls; `markup` has their tags, `new_controls`
chooses them for a new project), `votes` (an annotation to a vote), `annotations` (votes to a current label) and
`predictions` (a score to a prediction).
"""
