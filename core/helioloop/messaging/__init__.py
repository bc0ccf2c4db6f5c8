"""Messages between the web side and the workers, through Redis.

Read `messages` first: one dataclass per kind of job; `payloads` reads them back. `queues` sends them, each job at most
once, with a connection from `redis_client`; `stored_jobs` reads and changes what Redis has of a job, and `roles` says
which workers serve which queue. `job_failures` counts how often jobs failed and parks them, with the records in
`job_failure`, and `parked` finds what an emptied Redis has lost of that; `job_monitor` reads the state of jobs;
`retrain_state` has what a project's retraining waits for, with its Redis version in `redis_retrain_state`; `claims` has
the cubes whose scores were requested. `served_root` says for which model root a Redis database is.
`backend_credentials` checks what Label Studio must send to the backend, and `arrived_events` counts events for the
trial of a setup.
"""
