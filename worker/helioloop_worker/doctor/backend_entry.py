"""Checks of the backend's entry in the project: whether Label Studio may call its address, and reaches it."""

import re
from collections.abc import Mapping
from typing import Any, Final

from helioloop_worker.doctor.addresses import has_scheme, is_loopback, is_unspecified, plain, same_place
from helioloop_worker.doctor.facts import Facts, rows_of
from helioloop_worker.doctor.finding import Cause, Check, Finding, not_tried, ok, out_of_time
from helioloop_worker.doctor.label_studio import RIGHTS
from helioloop_worker.labelstudio.webhook import BACKEND_TITLE

CARD: Final = "backend-entry"
PRIVATE: Final = "private-addresses"
REACHED: Final = "label-studio-to-backend"
OLD_CARDS: Final = "old-backend-entries"

INIT: Final = "run `helioloop init --project {project}` again with --backend-url"
_NO_CARD = Cause(check=CARD, name="missing", remedy=f"To connect the backend, {INIT} as Label Studio reaches it.")
_UNSPECIFIED = Cause(
    check=CARD,
    name="unspecified-address",
    remedy=f"0.0.0.0 is what a server binds to: {INIT} naming the backend's machine.",
)
_OTHER_CARD = Cause(
    check=CARD,
    name="other-address",
    remedy=f"To register the address of --backend-url, {INIT}, which removes the other one.",
)
_BAD_CARD = Cause(check=CARD, name="no-address", remedy=f"To correct the address, {INIT} http://HOST:PORT.")
_BLOCKED_MODEL = Cause(
    check=PRIVATE,
    name="backend-blocked",
    remedy="Start Label Studio with LABEL_STUDIO_ML_BLOCK_LOCAL_IP=false, because the backend has a private address.",
)
_BLOCKED_HOOK = Cause(
    check=PRIVATE,
    name="webhook-blocked",
    remedy="Start Label Studio with LABEL_STUDIO_SSRF_PROTECTION_ENABLED=false, because webhooks call a private "
    "address.",
)
_BLOCKED = Cause(
    check=PRIVATE,
    name="both-blocked",
    remedy="Start Label Studio with LABEL_STUDIO_ML_BLOCK_LOCAL_IP=false and "
    "LABEL_STUDIO_SSRF_PROTECTION_ENABLED=false, because the backend has a private address.",
)
_UNREACHABLE = Cause(
    check=REACHED,
    name="unreachable",
    remedy="Start `helioloop backend`, open its port to Label Studio's machine, or, to register another address, "
    f"{INIT}.",
)
_LOCALHOST = Cause(
    check=REACHED,
    name="localhost",
    remedy="Start `helioloop backend`; if Label Studio runs in a container or on another machine, localhost is that "
    f"one: {INIT} naming the backend's machine.",
)
_CREDENTIALS = Cause(
    check=REACHED,
    name="credentials",
    remedy="Run `helioloop init --project {project}` again: it gives Label Studio the user name and password in the "
    "settings.",
)
_SETUP_FAILS = Cause(check=REACHED, name="setup-fails", remedy="Read the log of `helioloop backend`.")
_SLOW = Cause(
    check=REACHED,
    name="slow",
    doubtful=True,
    remedy="Give the backend's machine more CPU: Label Studio waits 1 s for /health and 3 s for /setup.",
)
_OLD_CARD = Cause(
    check=OLD_CARDS,
    name="several",
    remedy=f"To remove the earlier ones, from which annotators get predictions too, {INIT} as registered.",
)
CAUSES: Final = (
    _NO_CARD, _UNSPECIFIED, _OTHER_CARD, _BAD_CARD, _BLOCKED_MODEL, _BLOCKED_HOOK, _BLOCKED, _UNREACHABLE, _LOCALHOST,
    _CREDENTIALS, _SETUP_FAILS, _SLOW, _OLD_CARD,
)  # fmt: skip

CONNECTED: Final = frozenset({"CO", "TR", "PR"})
"""Label Studio's states of a backend that answers."""


def own_cards(facts: Facts) -> list[dict[str, Any]]:
    """Return the project's entries of our backend, the current one first, then the newest.

    The current one has the address of --backend-url, else it is one that Label Studio reaches, else the newest.
    """
    wanted, reached = facts.wanted_url, facts.backend_url
    found = [
        card
        for card in rows_of(facts.cards)
        if card.get("title") == BACKEND_TITLE or (reached and same_place(url_of(card), reached))
    ]

    def rank(card: Mapping[str, Any]) -> tuple[bool, bool, bool, int]:
        url = url_of(card)
        return (
            wanted is not None and same_place(url, wanted),
            card.get("state") in CONNECTED,
            bool(reached) and same_place(url, reached),
            int(card.get("id") or 0),
        )

    return sorted(found, key=rank, reverse=True)


def url_of(row: Mapping[str, Any]) -> str:
    """Return the address of an entry or a webhook."""
    return str(row.get("url") or "")


def _check_card(facts: Facts) -> Finding:  # noqa: PLR0911 - one return per cause
    if facts.cards is None:
        return out_of_time(CARD)
    if not facts.cards.has_json:
        return not_tried(CARD, f"the request for the backends {facts.cards.short}")
    cards = own_cards(facts)
    if not cards:
        return _NO_CARD.found(facts, "the project has no backend of helioloop")
    url = url_of(cards[0])
    if not has_scheme(url):
        return _BAD_CARD.found(facts, f"the backend is registered as {plain(url)}")
    if facts.wanted_url is not None and not same_place(url, facts.wanted_url):
        return _OTHER_CARD.found(facts, f"the backend is registered as {plain(url)}, not as {plain(facts.wanted_url)}")
    if is_unspecified(url):
        return _UNSPECIFIED.found(facts, f"the backend is registered as {plain(url)}")
    return ok(CARD, f"the backend is registered as {plain(url)}")


def _check_private(facts: Facts) -> Finding:
    model, hook = facts.card_address, facts.hook_address
    if model is None or hook is None:
        return out_of_time(PRIVATE)
    address = plain(url_of(own_cards(facts)[0]))
    if model.status == 403 and hook.status == 403:
        return _BLOCKED.found(facts, f"Label Studio calls {address} neither as a backend nor by webhooks")
    if model.status == 403:
        return _BLOCKED_MODEL.found(facts, f"Label Studio does not call {address} as a backend")
    if hook.status == 403:
        return _BLOCKED_HOOK.found(facts, f"Label Studio does not call {address} by webhooks, and reports no error")
    return ok(PRIVATE, f"Label Studio may call {address}")


def _check_reached(facts: Facts) -> Finding:
    card = own_cards(facts)[0]
    url, state = plain(url_of(card)), card.get("state")
    if state in CONNECTED:
        return ok(REACHED, f"Label Studio is connected to {url}")
    trial = facts.card_trial
    if trial is None:
        return out_of_time(REACHED)
    if trial.is_success:
        return _SLOW.found(facts, f"Label Studio reached {url} only at the second attempt")
    said = re.sub(r"<[^>]*>", "", trial.text(600))
    if "authentication" in said:
        return _CREDENTIALS.found(facts, f"the backend at {url} refuses the credentials that Label Studio sends")
    if "valid ML backend" in said:
        return _SETUP_FAILS.found(facts, f"the backend at {url} does not accept the project: {said[:300]}")
    cause = _LOCALHOST if is_loopback(url_of(card)) else _UNREACHABLE
    return cause.found(facts, f"Label Studio does not reach {url}: {said[-200:]}")


def _check_old_cards(facts: Facts) -> Finding:
    old = own_cards(facts)[1:]
    if old:
        return _OLD_CARD.found(facts, f"besides the current backend: {', '.join(plain(url_of(card)) for card in old)}")
    return ok(OLD_CARDS, "there is one backend of helioloop")


CHECKS: Final = (
    Check(name=CARD, run=_check_card, needs=(RIGHTS,), project=True),
    Check(name=PRIVATE, run=_check_private, needs=(CARD,), project=True),
    Check(name=REACHED, run=_check_reached, needs=(PRIVATE,), project=True),
    Check(name=OLD_CARDS, run=_check_old_cards, needs=(CARD,), project=True),
)
