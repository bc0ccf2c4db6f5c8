"""The whole loop on one machine: `demo` takes a release through it, `services` starts and stops what it needs."""
