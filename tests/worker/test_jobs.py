"""Jobs: every message leads to a function that takes its payload."""

import inspect
from dataclasses import fields

import pytest

from helioloop.messaging import messages
from helioloop_worker import jobs


def message_classes(base: type[messages.Message] = messages.Message) -> list[type[messages.Message]]:
    """Return all messages that name a job."""
    found = [base] if hasattr(base, "job") else []
    return found + [message for derived in base.__subclasses__() for message in message_classes(derived)]


@pytest.mark.parametrize(
    "message",
    [message for message in message_classes() if message.__module__ == messages.__name__],
    ids=lambda message: message.__name__,
)
def test_every_message_leads_to_a_job_that_takes_its_payload(message: type[messages.Message]) -> None:
    """A worker runs no other function, and gets the payload as keyword arguments."""
    parameters = inspect.signature(jobs.FUNCTIONS[message.job]).parameters
    assert list(parameters) == ["context", *(field.name for field in fields(message))]


def test_planning_is_one_long_job_a_project_that_waits_with_the_training() -> None:
    """It may grid every cube of a project, which takes hours; the payload is the project alone."""
    message = messages.PlanRound(project=7)
    assert (message.queue, message.job_id, message.payload()) == (
        "helioloop-train",
        "plan-round-7",
        {"project": 7, "format": 1},
    )
    assert message.timeout_seconds == 24 * 3600
    assert message.running_counts
