"""Finds the variable that gives each setting, and what the user should know about the variables that are set.

One rule decides: helioloop's own name takes precedence over an alias, an empty variable counts as not set, and a
variable together with the same name with ``_FILE`` is refused.
"""

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Final

from helioloop.environment import foreign_names, names
from helioloop.environment.secret_files import read_secret
from helioloop.errors import SettingsError

_REFERENCE: Final = re.compile(r"\$(?:[A-Za-z_]|\{[A-Za-z_])")
_WHOLE_REFERENCE: Final = re.compile(r"(?:^|:)\$(?:[A-Z_][A-Z0-9_]*|\{\w+\})(?:@|$)")
"""In a secret only as the whole of it, or of the password in an address: a password may have a dollar sign."""
_COMMENT: Final = re.compile(r"\s#")


@dataclass(frozen=True, slots=True)
class Origin:
    """Where the value of a setting comes from.

    Parameters
    ----------
    variable : str
        The environment variable.
    file : Path or None
        The file that the variable names; None where the variable contains the value.
    """

    variable: str
    file: Path | None = None


class Environment:
    """The environment variables of one process, as far as they give settings.

    Parameters
    ----------
    variables : mapping
        Names and values, as in ``os.environ``.
    settings : collection of str
        Names of all settings.
    """

    def __init__(self, variables: Mapping[str, str], settings: Collection[str]) -> None:
        self._settings = tuple(settings)
        self._set = {name: value for name, value in variables.items() if value.strip()}
        # helioloop's own names count in any case, aliases as they are written: other programs may use `port`
        own = {name.upper(): name for name in sorted(self._set, reverse=True) if name.upper().startswith(names.PREFIX)}
        own |= {name: name for name in self._set if name in own}
        self._written = {name: name for name in self._set} | own

    def origin(self, setting: str) -> Origin | None:
        """Return where a setting comes from; None where no variable gives it.

        Raises
        ------
        SettingsError
            Where a variable is set together with the same name with ``_FILE``.
        """
        origins = list(self._origins(setting))
        for first, second in pairwise(origins):
            if _exclude_each_other(first, second):
                raise SettingsError(
                    f"{first.variable} and {second.variable} are both set, and only one of them can give the value; "
                    "unset one of the two"
                )
        return origins[0] if origins else None

    def value(self, setting: str) -> str | None:
        """Return the text that a setting is given by; None where no variable gives it.

        Raises
        ------
        SettingsError
            As `origin`, and where a file cannot be used.
        """
        origin = self.origin(setting)
        return None if origin is None else self._text(origin)

    def doubts(self, *, process: str) -> list[str]:
        """Return a sentence for each variable that is ignored or read in a doubtful way; no text contains a value.

        Parameters
        ----------
        process : str
            ``"backend"``, ``"worker"`` or ``"command"``.
        """
        given = {setting for setting in self._settings if any(self._origins(setting))}
        return [
            *self._overridden(),
            *self._unknown(),
            *foreign_names.ignored_foreign_names(self._set, given, backend=process == "backend"),
            *self._line_ends(),
            *self._quotes(),
            *self._not_replaced(),
            *self._comments(),
        ]

    def unused(self, *, process: str) -> list[str]:
        """Return the variables that are set and not used by the backend or by a worker, in order."""
        if process == "backend":
            outside = [setting for setting in self._settings if setting not in names.BACKEND]
        else:
            outside = [setting for setting in self._settings if setting in names.BACKEND_ONLY]
        return sorted(origin.variable for setting in outside for origin in self._origins(setting))

    def _origins(self, setting: str) -> Iterator[Origin]:
        """Yield the variables that are set for a setting, the one that takes precedence first."""
        for name in names.all_names(setting):
            written = self._written.get(name)
            if written is not None:
                is_file = setting in names.FROM_FILES and name.endswith(names.FILE_SUFFIX)
                yield Origin(written, Path(_without_line_end(self._set[written])) if is_file else None)

    def _text(self, origin: Origin) -> str:
        if origin.file is not None:
            return read_secret(origin.variable, origin.file)
        return _without_line_end(self._set[origin.variable])

    def _overridden(self) -> Iterator[str]:
        for setting in self._settings:
            first, *others = [*self._origins(setting), None]
            for other in others:
                if first is None or other is None or _exclude_each_other(first, other):
                    continue
                if self._differ(first, other):
                    yield (
                        f"{other.variable} is ignored: {first.variable} takes precedence and gives another value; "
                        f"remove one of the two"
                    )
        for name in sorted(self._set):
            written = self._written.get(name.upper(), name)
            if name.upper().startswith(names.PREFIX) and written != name and self._set[written] != self._set[name]:
                yield f"{name} is ignored: {written} takes precedence and gives another value; remove one of the two"

    def _differ(self, first: Origin, second: Origin) -> bool:
        try:
            return self._text(first) != self._text(second)
        except SettingsError:  # a file that cannot be read is reported where its value is needed
            return True

    def _unknown(self) -> Iterator[str]:
        for name, nearest in names.unknown_names(self._set, self._settings):
            remedy = f"did you mean {nearest}?" if nearest else "docs/settings.md lists all names"
            yield f"{name} is ignored: helioloop has no setting of that name; {remedy}"

    def _line_ends(self) -> Iterator[str]:
        found = [
            origin.variable
            for setting in self._settings
            for origin in self._origins(setting)
            if self._set[origin.variable] != _without_line_end(self._set[origin.variable])
        ]
        if found:
            yield (
                f"the line end after the value of {', '.join(sorted(found))} is left out; remove it where the variable "
                "is set (Windows line ends in an environment file?)"
            )

    def _values(self) -> Iterator[tuple[str, str, str]]:
        """Yield setting, variable and value of each setting that is given."""
        for setting in self._settings:
            origin = next(self._origins(setting), None)
            if origin is not None:
                yield setting, origin.variable, _without_line_end(self._set[origin.variable])

    def _not_replaced(self) -> Iterator[str]:
        for setting, variable, value in self._values():
            if (_WHOLE_REFERENCE if setting in names.SECRETS else _REFERENCE).search(value):
                yield (
                    f"the value of {variable} contains a dollar sign and a name, as of another variable, and nothing "
                    "replaces it; write the value itself (no shell reads the environment files of systemd and docker)"
                )

    def _comments(self) -> Iterator[str]:
        for setting, variable, value in self._values():
            if setting not in names.SECRETS and _COMMENT.search(value):
                yield (
                    f"the value of {variable} contains a blank and a #, and what follows is part of the value; write a "
                    "comment on a line of its own"
                )

    def _quotes(self) -> Iterator[str]:
        for setting in self._settings:
            origin = next(self._origins(setting), None)
            if origin is None:
                continue
            value = _without_line_end(self._set[origin.variable])
            if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'":
                yield (
                    f"the value of {origin.variable} begins and ends with a quotation mark, and both are part of the "
                    "value; remove them where the variable is set if they are not meant (docker --env-file keeps them)"
                )


def _exclude_each_other(first: Origin, second: Origin) -> bool:
    """Return True for a variable and the same name with ``_FILE``."""
    return first.file is None and second.variable.upper() == first.variable.upper() + names.FILE_SUFFIX


def _without_line_end(value: str) -> str:
    return value.rstrip("\r\n")
