#!/bin/bash
# What the published image's entry point does at its first start with POSTGRES_USER, _PASSWORD_FILE and _DB.
set -e
as_postgres() { setpriv --reuid=postgres --regid=postgres --clear-groups "$@"; }
install -d -o postgres -g postgres /var/run/postgresql
if ! [ -s "$PGDATA/PG_VERSION" ]; then
    as_postgres initdb --username="$POSTGRES_USER" --pwfile="$POSTGRES_PASSWORD_FILE" --auth=scram-sha-256 -D "$PGDATA"
    as_postgres pg_ctl -D "$PGDATA" -o "-c listen_addresses=" -w start
    PGPASSWORD=$(cat "$POSTGRES_PASSWORD_FILE") as_postgres createdb --username="$POSTGRES_USER" "$POSTGRES_DB"
    as_postgres pg_ctl -D "$PGDATA" -m fast -w stop
fi
exec setpriv --reuid=postgres --regid=postgres --clear-groups postgres -D "$PGDATA" -c listen_addresses='*'
