"""A function for other processes, in a module that they import at once."""

import os


def exits_at_seven(number: int) -> int:
    """Return a number as it is; at 7 the process ends as if it had been killed."""
    if number == 7:
        os._exit(9)
    return number
