"""Rules for user names, passwords, header values and tokens.

What breaks a rule would be accepted everywhere and then not work: Label Studio removes blanks around a password, it
sends credentials and headers in Latin-1, and servers remove blanks around a header's value. Each function raises
``ValueError`` with the rule and the remedy; no text contains the value.
"""

import string
from typing import Final

_PRINTABLE_ASCII: Final = frozenset(string.ascii_letters + string.digits + string.punctuation + " ")


def check_user(user: str) -> str:
    """Return a user name of basic auth that follows RFC 7617 and that Label Studio can send."""
    if ":" in user:
        raise ValueError("contains a colon, which ends the user name in basic auth (RFC 7617); choose one without")
    return _check_basic(user)


def check_password(password: str) -> str:
    """Return a password of basic auth that Label Studio stores unchanged and can send."""
    return _check_basic(password)


def check_header(secret: str) -> str:
    """Return the value of a header that arrives unchanged from every client."""
    if secret.strip() != secret:
        raise ValueError("begins or ends with a blank, which servers remove from a header's value; remove it")
    if not _PRINTABLE_ASCII.issuperset(secret):
        raise ValueError(
            "contains a letter outside ASCII or a control character, which clients send in different ways; choose one "
            "of ASCII letters, digits and punctuation, for example of `openssl rand -hex 32`"
        )
    return secret


def check_token(token: str) -> str:
    """Return an access token of Label Studio; blanks, line breaks and letters outside ASCII come from wrong copying."""
    if not _PRINTABLE_ASCII.issuperset(token) or " " in token:
        raise ValueError(
            "contains a blank, a line break or a character outside ASCII, and tokens of Label Studio contain none of "
            "them; copy the token alone, without the word Token or Bearer before it"
        )
    return token


def _check_basic(text: str) -> str:
    if any(ord(letter) < ord(" ") or 0x7F <= ord(letter) < 0xA0 for letter in text):
        raise ValueError("contains a line break or another control character, which basic auth excludes; remove it")
    if text.strip() != text:
        raise ValueError("begins or ends with a blank, which Label Studio removes when it stores it; remove it")
    try:
        text.encode("latin-1")
    except UnicodeEncodeError:
        raise ValueError(
            "contains a letter outside Latin-1 (Western European), which Label Studio cannot send to a backend; choose "
            "one of ASCII letters, digits and punctuation"
        ) from None
    return text
