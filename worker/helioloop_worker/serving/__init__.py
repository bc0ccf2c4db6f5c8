"""Worker processes: they serve the job queues of a role, across outages of Redis, until they are stopped.

Read `worker_process` first. Its workers are in `role_workers`: how each runs a `loop_job`. They are made of
`described_worker` (what a worker is, in Redis) and `claiming_worker` (only for its own model root). `scheduler` sends
jobs that are due, `forks` keeps a worker's signal handlers from the processes that it forks, and `device_name` finds
the device without initialising CUDA.
"""
