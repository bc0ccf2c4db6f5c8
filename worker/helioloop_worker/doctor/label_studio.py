"""Checks of Label Studio as this machine reaches it: address, version, clock, token, rights, unusable answers."""

import base64
import json
import time
from datetime import UTC, datetime
from typing import Any, Final

from helioloop_worker.doctor.addresses import Address, has_scheme, is_unspecified, plain
from helioloop_worker.doctor.clocks import Clock
from helioloop_worker.doctor.facts import Facts
from helioloop_worker.doctor.finding import Cause, Check, Finding, not_tried, ok, out_of_time
from helioloop_worker.labelstudio.probe import Answer
from helioloop_worker.labelstudio.supported import SUPPORTED_RANGE, is_supported

ADDRESS: Final = "label-studio-address"
VERSION: Final = "label-studio-version"
CLOCK: Final = "label-studio-clock"
TOKEN: Final = "token"  # noqa: S105 - the name of a check
RIGHTS: Final = "rights"
ANSWERS: Final = "label-studio-answers"

SOON_SECONDS: Final = 7 * 24 * 3600.0
"""A token that expires within this time is doubtful."""

_ADDRESS = Address(ADDRESS, service="Label Studio", setting="HELIOLOOP_LABEL_STUDIO_URL", start="Start Label Studio")
_REDIRECTED = Cause(
    check=ADDRESS,
    name="redirected",
    remedy="Set HELIOLOOP_LABEL_STUDIO_URL to the address it redirects to, because a redirect drops what is written.",
)
_WRONG_PATH = Cause(
    check=ADDRESS,
    name="path-prefix",
    remedy="If Label Studio is served below a path, add the path to HELIOLOOP_LABEL_STUDIO_URL, as in "
    "LABEL_STUDIO_HOST.",
)
_OTHER_SERVICE = Cause(
    check=ADDRESS,
    name="other-service",
    remedy="Set HELIOLOOP_LABEL_STUDIO_URL to Label Studio itself, not to a login page or another service; if "
    "HTTP_PROXY is set, name the host in NO_PROXY.",
)
_SERVER_ERROR = Cause(check=ADDRESS, name="server-error", remedy="Read the log of Label Studio and of its proxy.")
_UNSPECIFIED = Cause(
    check=ADDRESS,
    name="unspecified-address",
    doubtful=True,
    remedy="Name Label Studio's machine in HELIOLOOP_LABEL_STUDIO_URL; 0.0.0.0 is what a server binds to.",
)
_UNTESTED = Cause(
    check=VERSION, name="untested", doubtful=True, remedy=f"Install a supported Label Studio: {SUPPORTED_RANGE}."
)
_UNKNOWN = Cause(
    check=VERSION,
    name="unknown",
    doubtful=True,
    remedy=f"Compare the version on Label Studio's page /version with the supported range: {SUPPORTED_RANGE}.",
)
_CLOCK = Clock(CLOCK, whose="Label Studio's")
_MISSING = Cause(
    check=TOKEN,
    name="missing",
    remedy="Copy a token from Account & Settings in Label Studio into HELIOLOOP_LABEL_STUDIO_API_KEY.",
)
_MALFORMED = Cause(
    check=TOKEN,
    name="malformed",
    remedy="Copy the token again into HELIOLOOP_LABEL_STUDIO_API_KEY, without line break and quotes.",
)
_SHORT_LIVED = Cause(
    check=TOKEN,
    name="access-token",
    remedy="Copy the personal access token (refresh token) itself into HELIOLOOP_LABEL_STUDIO_API_KEY, because a token "
    "made from it is valid for five minutes only.",
)
_EXPIRED = Cause(
    check=TOKEN,
    name="expired",
    remedy="Make a new personal access token in Label Studio (Account & Settings) and set "
    "HELIOLOOP_LABEL_STUDIO_API_KEY.",
)
_ENDS_SOON = Cause(
    check=TOKEN,
    name="expires-soon",
    doubtful=True,
    remedy="Make a new personal access token in Label Studio (Account & Settings) and set "
    "HELIOLOOP_LABEL_STUDIO_API_KEY before that day.",
)
_REFUSED = Cause(
    check=TOKEN,
    name="refused",
    remedy="Make a new token in this Label Studio (Account & Settings) and set HELIOLOOP_LABEL_STUDIO_API_KEY.",
)
_LEGACY_OFF = Cause(
    check=TOKEN,
    name="legacy-tokens-off",
    remedy="Allow legacy tokens in Label Studio (Organization, API Tokens Settings), or set "
    "HELIOLOOP_LABEL_STUDIO_API_KEY to a personal access token.",
)
_NO_PROJECT = Cause(
    check=RIGHTS,
    name="no-project",
    remedy="Name the project with --project as Label Studio shows it in the address of the project's page, or use a "
    "token of a user of its organization.",
)
_FORBIDDEN = Cause(
    check=RIGHTS,
    name="forbidden",
    remedy="Give the token's user the rights to change project {project}, or set HELIOLOOP_LABEL_STUDIO_API_KEY to the "
    "token of a user who has them.",
)
_UNUSABLE = Cause(
    check=ANSWERS,
    name="unusable",
    remedy="Read Label Studio's log; if it is overloaded, move its database from SQLite to PostgreSQL.",
)
_NO_CREATOR = Cause(
    check=ANSWERS,
    name="no-creator",
    remedy="In Label Studio's database, give the project a user that exists, by its id: UPDATE project SET "
    "created_by_id = USER WHERE id = {project}; until then Label Studio exports no task and calls no backend.",
)

CAUSES: Final = (
    *_ADDRESS.causes, _REDIRECTED, _WRONG_PATH, _OTHER_SERVICE, _SERVER_ERROR, _UNSPECIFIED, _UNTESTED, _UNKNOWN,
    *_CLOCK.causes, _MISSING, _MALFORMED, _SHORT_LIVED, _EXPIRED, _ENDS_SOON, _REFUSED, _LEGACY_OFF, _NO_PROJECT,
    _FORBIDDEN, _UNUSABLE, _NO_CREATOR,
)  # fmt: skip


def _check_address(facts: Facts) -> Finding:  # noqa: PLR0911 - one return per cause
    url = facts.settings.label_studio_url
    if not has_scheme(url):
        return _ADDRESS.no_address.found(facts, f"{plain(url)} has no http:// or https:// or no host")
    answer = facts.health
    if answer is None:
        return out_of_time(ADDRESS)
    unreachable = _ADDRESS.unreachable(facts, url, answer)
    if unreachable is not None:
        return unreachable
    seen = f"{plain(url)}/health {answer.short}"
    status = answer.status or 0
    if 300 <= status < 400:
        return _REDIRECTED.found(facts, f"{seen} and leads to {plain(answer.headers.get('location', '?'))}")
    if status >= 500:
        return _SERVER_ERROR.found(facts, seen)
    if 404 in {status, facts.user.status if facts.user else None}:  # Label Studio answers /health below any path
        return _WRONG_PATH.found(facts, f"{plain(url)} has no Label Studio at its path")
    if not answer.has_json or (facts.version is not None and version_of(facts.version) is None):
        return _OTHER_SERVICE.found(facts, f"{seen}, which is not how Label Studio answers")
    if is_unspecified(url):
        return _UNSPECIFIED.found(facts, f"{plain(url)} names no machine")
    return ok(ADDRESS, f"{plain(url)} answers")


def version_of(answer: Answer) -> str | None:
    """Return the version in the answer of /api/version; None where it is not the answer of a Label Studio."""
    if not answer.has_json or not isinstance(answer.body, dict):
        return None
    package = answer.body.get("label-studio-os-package")
    found = package.get("version") if isinstance(package, dict) else None
    found = found or answer.body.get("release")
    return found if isinstance(found, str) else None


def _check_version(facts: Facts) -> Finding:
    if facts.version is None:
        return out_of_time(VERSION)
    found = version_of(facts.version) or ""
    try:
        number = tuple(int(part) for part in found.split("+")[0].split(".")[:3])
    except ValueError:
        return _UNKNOWN.found(facts, f"version {found!r}")
    if not is_supported(number):
        return _UNTESTED.found(facts, f"version {found}, supported are {SUPPORTED_RANGE}")
    return ok(VERSION, f"version {found}")


def _check_clock(facts: Facts) -> Finding:
    skew = None if facts.health is None else facts.health.skew_seconds
    if skew is None:
        return not_tried(CLOCK, "Label Studio sends no Date")
    return _CLOCK.compare(facts, skew)


def token_claims(token: str) -> dict[str, Any] | None:
    """Return the claims of a personal access token, unverified; None for a legacy token."""
    parts = token.split(".")
    if len(parts) != 3:
        return None
    try:
        found = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (ValueError, UnicodeError):
        return None
    return found if isinstance(found, dict) else None


def is_malformed(token: str) -> bool:
    """Return whether a token has a character that no token of Label Studio has."""
    return not token or not token.isascii() or not token.isprintable() or any(letter in token for letter in " \"'")


def _check_token(facts: Facts) -> Finding:
    secret = facts.settings.label_studio_api_key
    token = "" if secret is None else secret.get_secret_value()
    if not token:
        return _MISSING.found(facts, "HELIOLOOP_LABEL_STUDIO_API_KEY is not set")
    if is_malformed(token):
        return _MALFORMED.found(facts, "the token has a space, a quote, a line break or a character outside ASCII")
    claims = token_claims(token)
    return (None if claims is None else _check_claims(facts, claims)) or _check_user(
        facts, token, kind="legacy token" if claims is None else "personal access token"
    )


def _check_claims(facts: Facts, claims: dict[str, Any]) -> Finding | None:
    """Return what is wrong with a personal access token itself; None where it may be accepted."""
    if claims.get("token_type") == "access":
        return _SHORT_LIVED.found(facts, "the token is a short-lived access token")
    ends = claims.get("exp")
    if isinstance(ends, int | float) and ends < time.time():
        return _EXPIRED.found(facts, f"the personal access token expired on {_day(ends)}")
    return None


def _check_user(facts: Facts, token: str, *, kind: str) -> Finding:
    """Return whether Label Studio accepts the token."""
    answer = facts.user if facts.access is None or facts.access.is_success else facts.access
    if answer is None:
        return out_of_time(TOKEN)
    if answer.status == 401 and "legacy" in answer.text().lower():
        return _LEGACY_OFF.found(facts, "Label Studio refuses legacy tokens")
    if answer.status in {400, 401, 403}:
        return _REFUSED.found(facts, f"Label Studio does not accept this {kind}: {answer.text()}")
    if not answer.has_json:
        return not_tried(TOKEN, f"Label Studio {answer.short} to the question whose token it is")
    name = answer.body.get("email") or answer.body.get("username") if isinstance(answer.body, dict) else None
    ends = (token_claims(token) or {}).get("exp")
    if isinstance(ends, int | float) and ends < time.time() + SOON_SECONDS:
        return _ENDS_SOON.found(facts, f"the {kind} of {name or 'a user'} expires on {_day(ends)}")
    return ok(TOKEN, f"a {kind} of {name or 'a user'}")


def _day(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="minutes")


def _check_rights(facts: Facts) -> Finding:
    if facts.info is None:
        return out_of_time(RIGHTS)
    if facts.info.status == 404:
        return _NO_PROJECT.found(facts, f"Label Studio has no project {facts.project} for the token's user")
    asked = {
        "reading the project": facts.info,
        "changing it": facts.change,
        "its storages": facts.storages,
        "its backends": facts.cards,
        "its webhooks": facts.hooks,
    }
    refused = [what for what, answer in asked.items() if answer is not None and answer.status == 403]
    if refused:
        return _FORBIDDEN.found(facts, f"Label Studio forbids {', '.join(refused)}")
    if not facts.info.has_json:
        return not_tried(RIGHTS, f"Label Studio {facts.info.short} to a request for the project")
    if facts.change is None:
        return out_of_time(RIGHTS)
    title = facts.info.body.get("title") if isinstance(facts.info.body, dict) else None
    return ok(RIGHTS, f"the token's user may change project {facts.project} ({title})")


def _check_answers(facts: Facts) -> Finding:
    project = facts.info.body if facts.info is not None and facts.info.has_json else None
    if isinstance(project, dict) and "created_by" in project and project["created_by"] is None:
        return _NO_CREATOR.found(facts, f"the account that made project {facts.project} was deleted")
    asked: dict[str, Answer | None] = {
        "the user": facts.user,
        "the project": facts.info,
        "the storages": facts.storages,
        "the tasks": facts.task,
        "the backends": facts.cards,
        "the webhooks": facts.hooks,
        "the model versions": facts.shown,
    }
    unusable = [
        f"the request for {what} {answer.short}"
        for what, answer in asked.items()
        if answer is not None and not answer.has_json and answer.status not in {401, 403, 404}
    ]
    if unusable:
        return _UNUSABLE.found(facts, "; ".join(unusable))
    return ok(ANSWERS, "every request was answered")


CHECKS: Final = (
    Check(name=ADDRESS, run=_check_address),
    Check(name=VERSION, run=_check_version, needs=(ADDRESS,)),
    Check(name=CLOCK, run=_check_clock, needs=(ADDRESS,)),
    Check(name=TOKEN, run=_check_token, needs=(ADDRESS,)),
    Check(name=ANSWERS, run=_check_answers, needs=(TOKEN,)),
    Check(name=RIGHTS, run=_check_rights, needs=(TOKEN,), project=True),
)
