"""Checks of the webhooks that report corrections to the backend: whether one does, with the secret that it expects."""

from collections.abc import Mapping
from typing import Any, Final

from helioloop.messaging.backend_credentials import SECRET_HEADER, backend_credentials
from helioloop_worker.doctor import backend
from helioloop_worker.doctor.addresses import plain, same_place
from helioloop_worker.doctor.backend_entry import CARD, INIT, own_cards, url_of
from helioloop_worker.doctor.facts import Facts, rows_of
from helioloop_worker.doctor.finding import Cause, Check, Finding, not_tried, ok, out_of_time
from helioloop_worker.labelstudio.webhook import WEBHOOK_ACTIONS, webhook_credentials, webhook_url

HOOK: Final = "webhook"
SECRET: Final = "webhook-secret"  # noqa: S105 - the name of a check
OLD_HOOKS: Final = "old-webhooks"

_NO_HOOK = Cause(
    check=HOOK, name="missing", remedy=f"Corrections are not reported to the backend: {INIT} as registered."
)
_SEVERAL = Cause(
    check=HOOK,
    name="several",
    remedy=f"Each correction is counted several times: {INIT} as registered, which leaves one webhook.",
)
_INACTIVE = Cause(
    check=HOOK,
    name="inactive",
    remedy="Activate the webhook in Label Studio (Settings of project {project}, Webhooks).",
)
_NO_PAYLOAD = Cause(
    check=HOOK,
    name="no-payload",
    remedy="Switch on “Send payload” of the webhook in Label Studio (Settings of project {project}, Webhooks).",
)
_ACTIONS = Cause(
    check=HOOK, name="actions", remedy=f"Some events are not sent: {INIT} as registered, which renews the webhook."
)
_DIFFERS = Cause(
    check=SECRET,
    name="differs",
    remedy=f"The webhook does not send the secret of the settings: {INIT} as registered, which renews it.",
)
_REFUSED = Cause(
    check=SECRET,
    name="refused",
    remedy="Set HELIOLOOP_WEBHOOK_SECRET to one value for the backend and here, restart the backend, then run "
    "`helioloop init` again.",
)
_OLD_HOOK = Cause(
    check=OLD_HOOKS,
    name="ours",
    remedy=f"To remove the earlier ones, which contain the secret and may count events twice, {INIT} as registered.",
)
_UNCLEAR_HOOK = Cause(
    check=OLD_HOOKS,
    name="unclear",
    doubtful=True,
    remedy="If they belong to no other model, delete them in Label Studio (Settings of project {project}, Webhooks).",
)

CAUSES: Final = (
    _NO_HOOK, _SEVERAL, _INACTIVE, _NO_PAYLOAD, _ACTIONS, _DIFFERS, _REFUSED, _OLD_HOOK, _UNCLEAR_HOOK,
)  # fmt: skip


def _hooks(facts: Facts) -> list[dict[str, Any]]:
    """Return the webhooks that are called for the project: its own, and those of the whole organization."""
    return [hook for hook in rows_of(facts.hooks) if hook.get("project") in {facts.project, None}]


def _own_hooks(facts: Facts) -> list[dict[str, Any]]:
    """Return the webhooks that call the current backend, active ones first."""
    address = webhook_url(url_of(own_cards(facts)[0]))
    found = [hook for hook in _hooks(facts) if same_place(url_of(hook), address)]
    return sorted(found, key=lambda hook: not hook.get("is_active"))


def _check_hook(facts: Facts) -> Finding:  # noqa: PLR0911 - one return per cause
    if facts.hooks is None:
        return out_of_time(HOOK)
    if not facts.hooks.has_json:
        return not_tried(HOOK, f"the request for the webhooks {facts.hooks.short}")
    hooks = _own_hooks(facts)
    address = plain(webhook_url(url_of(own_cards(facts)[0])))
    if not hooks:
        return _NO_HOOK.found(facts, f"no webhook calls {address}")
    hook = hooks[0]
    if not hook.get("is_active"):
        return _INACTIVE.found(facts, f"the webhook to {address} is not active")
    if len(hooks) > 1:
        return _SEVERAL.found(facts, f"{len(hooks)} webhooks call {address}")
    if not hook.get("send_payload"):
        return _NO_PAYLOAD.found(facts, f"the webhook to {address} sends no payload")
    lacking = [] if hook.get("send_for_all_actions") else sorted({*WEBHOOK_ACTIONS} - {*(hook.get("actions") or ())})
    if lacking:
        return _ACTIONS.found(facts, f"the webhook to {address} does not send {', '.join(lacking)}")
    return ok(HOOK, f"one webhook calls {address}")


def _check_secret(facts: Facts) -> Finding:
    expected = _lower(webhook_credentials(backend_credentials(facts.settings)))
    sent = _lower(_own_hooks(facts)[0].get("headers"))
    for name, value in expected.items():
        if name not in sent:
            return _DIFFERS.found(facts, f"the webhook sends no header {name}")
        if sent[name] != value:
            return _DIFFERS.found(facts, f"the header {name} of the webhook has another value than the settings")
    answer = facts.backend_hook
    if answer is None:
        return out_of_time(SECRET)
    if answer.status == 401:
        return _REFUSED.found(facts, "the backend refuses an event with the credentials that the webhook sends")
    if not answer.is_success:
        return not_tried(SECRET, f"the backend {answer.short} to an event")
    return ok(SECRET, "the backend accepts events of the webhook" if expected else "none is set, and none is needed")


def _lower(headers: object) -> dict[str, str]:
    found = headers if isinstance(headers, Mapping) else {}
    return {str(name).lower(): str(value) for name, value in found.items()}


def _check_old_hooks(facts: Facts) -> Finding:
    if facts.hooks is None or not facts.hooks.has_json:
        return not_tried(OLD_HOOKS, "the webhooks were not read")
    current = webhook_url(url_of(own_cards(facts)[0]))
    ours = [webhook_url(url_of(card)) for card in own_cards(facts)[1:]]
    others = [webhook_url(url_of(card)) for card in rows_of(facts.cards)]
    own_values = set(webhook_credentials(backend_credentials(facts.settings)).values())
    old, unclear = [], []
    for hook in _hooks(facts):
        url, headers = url_of(hook), _lower(hook.get("headers"))
        if same_place(url, current):
            continue
        if SECRET_HEADER.lower() in headers or own_values & {*headers.values()} or _among(url, ours):
            old.append(plain(url))
        elif not headers and url.rstrip("/").endswith("/webhook") and not _among(url, others):
            unclear.append(plain(url))
    if old:
        return _OLD_HOOK.found(facts, f"webhooks of helioloop to other addresses: {', '.join(sorted(old))}")
    if unclear:
        return _UNCLEAR_HOOK.found(facts, f"webhooks of no registered backend: {', '.join(sorted(unclear))}")
    return ok(OLD_HOOKS, "no webhook of an earlier address")


def _among(url: str, known: list[str]) -> bool:
    return any(same_place(url, one) for one in known)


CHECKS: Final = (
    Check(name=HOOK, run=_check_hook, needs=(CARD,), project=True),
    Check(name=SECRET, run=_check_secret, needs=(HOOK, backend.ADDRESS), project=True),
    Check(name=OLD_HOOKS, run=_check_old_hooks, needs=(CARD,), project=True),
)
