#!/bin/bash
# What the published image's entry point does with ENV_INJECT_SOURCES: it reads the files named there, then runs the command.
set -e
IFS=, read -ra files <<<"${ENV_INJECT_SOURCES:-}"
for file in "${files[@]}"; do
    # shellcheck disable=SC1090
    if [ -f "$file" ]; then . "$file"; fi
done
exec "$@"
