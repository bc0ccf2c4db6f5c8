"""``helioloop settings``: the value of each setting, and the variable, file or default that it comes from."""

import json
from collections.abc import Sequence
from typing import Any

import click
from pydantic import SecretStr

from helioloop.cli import print_table
from helioloop.environment.reading import Environment
from helioloop.messaging import redis_client
from helioloop.settings import Settings, environment, load_settings, plain_url

HIDDEN = "set, not shown"


def commands() -> Sequence[click.Command]:
    """Return the command of this module."""
    return [settings]


@click.command()
@click.option("--all", "everything", is_flag=True, help="Show settings that have their default value too.")
@click.option("--json", "as_json", is_flag=True, help="Print all settings as JSON, with the sentences about variables.")
def settings(everything: bool, as_json: bool) -> None:
    """Show the settings and where they come from.

    Each setting is an environment variable: helioloop's own name, an alias that Label Studio's users know, or, for a
    secret, the name with _FILE and a file that contains the secret. The command shows which of them gives each value in
    this shell, and reports variables that have no effect. Secrets are not shown. Exit code 1 if a value is not allowed.

    \b
    Examples:
      helioloop settings
      (set -a; . ./helioloop.env; helioloop settings --json)     those in a file of variables
    """
    found, loaded = environment(), load_settings()
    redis_client.make_client(loaded).close()  # connects to nothing, and refuses an address that cannot be used
    rows = [_row(name, loaded, found) for name in Settings.model_fields]
    if as_json:
        click.echo(json.dumps({"settings": rows, "doubts": found.doubts(process="command")}, indent=2))
        return
    shown = rows if everything else [row for row in rows if row["variable"] is not None]
    if shown:
        print_table(
            [("setting", "value", "from"), *((row["setting"], _text(row["value"]), _from(row)) for row in shown)]
        )
    if not everything:
        click.echo(f"{len(rows) - len(shown)} settings have their default value; --all shows them")


def _row(name: str, loaded: Settings, found: Environment) -> dict[str, Any]:
    """Return name, value, variable and file of a setting; a secret as `HIDDEN`, an address without its password."""
    value, origin = getattr(loaded, name), found.origin(name)
    if isinstance(value, SecretStr):
        value = HIDDEN
    elif name.endswith("_url") and value is not None:
        value = plain_url(value)
    elif not isinstance(value, int | float | str | None):
        value = [str(item) for item in value] if isinstance(value, list) else str(value)
    return {
        "setting": name,
        "value": value,
        "variable": None if origin is None else origin.variable,
        "file": None if origin is None or origin.file is None else str(origin.file),
    }


def _text(value: Any) -> str:
    if value is None:
        return "not set"
    return (
        str(value).lower() if isinstance(value, bool) else json.dumps(value) if isinstance(value, list) else str(value)
    )


def _from(row: dict[str, Any]) -> str:
    if row["variable"] is None:
        return "default"
    return row["variable"] if row["file"] is None else f"{row['file']} ({row['variable']})"
