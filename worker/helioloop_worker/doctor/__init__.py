"""Finds why a deployment does not work: facts are gathered once, and pure checks turn them into findings with remedies.

Read `examination` first: it has the list of checks. `gathering` asks the services and this machine; `facts` are its
records. The checks are in `label_studio` (address, token, rights), `media` (storage and video), `labelling` (the
configuration), `backend`, `backend_entry` and `webhooks` (Label Studio to backend), `versions`, `redis_server`,
`workers` and `machine`. `printing` makes text and JSON.
"""
