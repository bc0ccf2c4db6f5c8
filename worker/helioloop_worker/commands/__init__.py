"""One module per group of commands; heavy imports stand inside the commands, so that ``--help`` is quick."""
