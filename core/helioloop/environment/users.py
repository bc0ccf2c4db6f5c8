"""Names of the system's users."""

import os
import pwd


def this_user() -> str:
    """Return the name of the user that this process runs as, or its number where the system knows no name."""
    return user_name(os.geteuid())


def user_name(number: int) -> str:
    """Return the name of a user, or ``number N`` where the system knows none."""
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return f"number {number}"
