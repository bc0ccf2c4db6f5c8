"""The worker: access to Label Studio, the loop, its jobs, reports and the command line."""
