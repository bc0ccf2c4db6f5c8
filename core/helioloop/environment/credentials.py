"""Rules for user names, passwords, the webhook secret and tokens.

What breaks a rule would be accepted everywhere and then not work: Label Studio removes blanks around a password, it
sends credentials and headers in Latin-1, and servers remove blanks around a header's value. Each function raises
``ValueError`` with the rule and the remedy; no text contains the value.
"""

import string
from typing import Final

_PRINTABLE_ASCII: Final = frozenset(string.ascii_letters + string.digits + string.punctuation + " ")
_LAST_OF_LATIN_1: Final = "\xff"


def check_user(user: str) -> str:
    """Return a user name of basic auth that follows RFC 7617 and that Label Studio can send."""
    if ":" in user:
        raise ValueError(
            "contains a colon, at which basic auth splits user and password (RFC 7617); choose a user name without one"
        )
    return check_sent(user)


def check_sent(text: str) -> str:
    """Return a password or the value of a header that Label Studio stores unchanged and can send."""
    if text.strip() != text:
        raise ValueError(
            "begins or ends with a space or a line end, which Label Studio does not send; set it without one (`printf` "
            "writes a secret into a file without a line end)"
        )
    if any(letter > _LAST_OF_LATIN_1 for letter in text):
        raise ValueError(
            "contains a letter outside Latin-1, which Label Studio cannot send in an HTTP header; use letters of "
            "Western European languages, digits and punctuation only"
        )
    if not text.isprintable():
        raise ValueError(
            "contains a line end, a tab or another control character, and an HTTP header contains printable characters "
            "only; set it without them"
        )
    return text


def check_token(token: str) -> str:
    """Return an access token of Label Studio; blanks, line breaks and letters outside ASCII come from wrong copying."""
    if not _PRINTABLE_ASCII.issuperset(token) or " " in token:
        raise ValueError(
            "contains a blank, a line break or a character outside ASCII, and tokens of Label Studio contain none of "
            "them; copy the token alone, without the word Token or Bearer before it"
        )
    return token
