"""What the web side and the workers say to each other through Redis.

Read `messages` first: one dataclass per job. `queues` sends them, each job at most once; `job_monitor` looks at jobs
from outside; `retrain_state` holds what a project's retraining waits for; `claims` says which cubes were asked for.
"""
