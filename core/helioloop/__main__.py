"""``python -m helioloop`` is the command ``helioloop``."""

from helioloop.cli import main

if __name__ == "__main__":
    main()
