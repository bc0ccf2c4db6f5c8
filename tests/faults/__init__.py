"""Faults in the running loop: real Redis, real worker processes that are killed, and checks of what is left."""
