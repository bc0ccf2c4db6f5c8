"""Tells the annotators of a task apart, also where their accounts were deleted."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

DELETED_ACCOUNTS: Final = "deleted accounts"
"""Name under which the answers of deleted accounts are counted together."""
LONGEST_ID: Final = 20
"""Digits of the largest id that a database can have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Annotator:
    """Who submitted an annotation.

    Parameters
    ----------
    voter : str
        Whose vote it is; two annotations with the same voter are one vote, the later one.
    account : str
        Label Studio's id of the account, or its e-mail address; `DELETED_ACCOUNTS` where it was deleted.
    """

    voter: str
    account: str

    @property
    def shown(self) -> str:
        """The annotator in a sentence."""
        return self.voter if self.account == DELETED_ACCOUNTS else f"annotator {self.account}"


def annotators(annotations: Iterable[Mapping[str, Any]]) -> list[Annotator]:
    """Return who submitted each annotation of a task.

    Label Studio has the id of the account in ``completed_by``, or a record with ``id`` and ``email``, and null after
    the account was deleted. Whether two annotations are of one person is not known then, so each is a vote of its own.

    Parameters
    ----------
    annotations : iterable of mapping
        The annotations of one cube, in Label Studio's JSON.
    """
    given = list(annotations)
    ids = {
        email: account
        for annotation in given
        if isinstance(who := annotation.get("completed_by"), Mapping)
        and (email := _email(who.get("email"))) is not None
        and (account := _id(who.get("id"))) is not None
    }
    return [_annotator(annotation, place, ids) for place, annotation in enumerate(given, start=1)]


def _annotator(annotation: Mapping[str, Any], place: int, ids: Mapping[str, str]) -> Annotator:
    who = annotation.get("completed_by")
    record = who if isinstance(who, Mapping) else {"id": who, "email": who}
    email = _email(record.get("email"))
    account = _id(record.get("id")) or ids.get(email or "", email)
    if account is not None:
        return Annotator(voter=account, account=account)
    number = _id(annotation.get("id"))
    voter = f"deleted account (annotation {number})" if number else f"deleted account ({place}. annotation of the task)"
    return Annotator(voter=voter, account=DELETED_ACCOUNTS)


def _id(value: Any) -> str | None:
    """Return an account's id as text; None for anything else. Label Studio counts accounts from 1."""
    if isinstance(value, bool) or not isinstance(value, int | str):
        return None
    text = str(value).strip()
    if not (text.isascii() and text.isdecimal() and len(text) <= LONGEST_ID):
        return None
    return str(int(text)) if int(text) > 0 else None


def _email(value: Any) -> str | None:
    return value.strip().casefold() if isinstance(value, str) and "@" in value else None
