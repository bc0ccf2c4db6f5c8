"""Runs the command ``helioloop`` for ``python -m helioloop``."""

from helioloop.cli import main

if __name__ == "__main__":
    main()
