"""The command ``helioloop doctor``: text, JSON, exit code, and no secret in either."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from tests.worker.doctor.conftest import HOOK, LEGACY, SOUND, good, settings
from tests.worker.shell import run_one_of

from helioloop_worker.commands import doctor as doctor_module
from helioloop_worker.commands.doctor import commands
from helioloop_worker.doctor import gathering
from helioloop_worker.doctor.examination import CHECKS, examine
from helioloop_worker.doctor.facts import Facts
from helioloop_worker.doctor.printing import as_json, lines, summary
from helioloop_worker.labelstudio.probe import Answer, Fault

SECRETS = (LEGACY, "b4sic-password", "w3bhook-secret", "r3dis-password")


@pytest.fixture
def gathered(monkeypatch: pytest.MonkeyPatch) -> list[Facts]:
    """The facts that the command gets; the last one of the list."""
    facts = [SOUND]
    monkeypatch.setattr(gathering, "gather", lambda *_, **__: facts[-1])
    monkeypatch.setattr(doctor_module, "load_settings", settings)
    return facts


def test_a_sound_deployment_is_well(gathered: list[Facts]) -> None:
    result = run_one_of(commands(), "doctor", "--project", "7")
    assert (result.exit_code, gathered) == (0, [SOUND])
    assert result.stdout.splitlines()[0] == f"All is well: {len(CHECKS)} ok."
    assert len(result.stdout.splitlines()) == len(CHECKS) + 1


def test_what_is_wrong_comes_with_its_remedy_and_exit_code_1(gathered: list[Facts]) -> None:
    """The first line names where to begin, and checks that were not tried share a line."""
    gathered.append(replace(SOUND, health=Answer(fault=Fault.REFUSED)))
    result = run_one_of(commands(), "doctor")
    assert result.exit_code == 1
    assert "Begin with label-studio-address: Start Label Studio" in result.stdout.splitlines()[0]
    assert result.stdout.count("because label-studio-address is wrong") == 1
    assert "refuses the connection [refused]" in result.stdout


def test_doubtful_is_not_wrong(gathered: list[Facts]) -> None:
    gathered.append(replace(SOUND, workers=()))
    assert run_one_of(commands(), "doctor").exit_code == 1
    assert SOUND.redis is not None
    gathered.append(replace(SOUND, redis=replace(SOUND.redis, skew_seconds=9.0)))
    assert run_one_of(commands(), "doctor").exit_code == 0


def test_json_has_every_check_once(gathered: list[Facts]) -> None:
    gathered.append(replace(SOUND, hooks=good([])))
    result = run_one_of(commands(), "doctor", "--json")
    found = json.loads(result.stdout)
    assert (result.exit_code, found["well"], found["project"]) == (1, False, 7)
    assert [finding["check"] for finding in found["findings"]] == [check.name for check in CHECKS]
    (wrong,) = (finding for finding in found["findings"] if finding["verdict"] == "wrong")
    assert (wrong["check"], wrong["cause"]) == ("webhook", "missing")
    assert "`helioloop init`" in wrong["remedy"]
    (untried,) = (finding for finding in found["findings"] if finding["verdict"] == "not tried")
    assert (untried["check"], untried["remedy"]) == ("webhook-secret", None)


def test_secrets_are_never_printed() -> None:
    """Not those of the settings, which services may repeat, and not another one that Label Studio has."""
    echo = Answer(status=500, body={"detail": f"Token {LEGACY} of label-studio:b4sic-password is bad, r3dis-password"})
    facts = replace(
        SOUND,
        hooks=good([HOOK | {"headers": {"X-Helioloop-Secret": "0ld-secret"}}]),
        cards=good([{"id": 3, "url": "http://user:c4rd-password@backend:9090", "title": "helioloop", "state": "DI"}]),
        card_trial=echo,
        backend_versions=echo,
        storage_check=echo,
    )
    for change in ({}, {"hooks": SOUND.hooks, "cards": SOUND.cards}, {"hooks": facts.hooks, "cards": SOUND.cards}):
        findings = examine(replace(facts, **change))
        text = json.dumps(lines(findings, SOUND.settings)) + summary(findings)
        text += as_json(findings, SOUND.settings, project=7)
        assert not [secret for secret in (*SECRETS, "0ld-secret", "c4rd-password") if secret in text]


def test_nothing_has_to_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a machine without anything, each service is named with its remedy."""
    nothing = settings(
        redis_url="redis://127.0.0.1:1/0",
        label_studio_url="http://127.0.0.1:1",
        backend_port=1,
        model_root=tmp_path / "models",
        media_root=tmp_path / "media",
    )
    monkeypatch.setattr(doctor_module, "load_settings", lambda: nothing)
    result = run_one_of(commands(), "doctor", "--json")
    found = {finding["check"]: finding["cause"] for finding in json.loads(result.stdout)["findings"]}
    assert result.exit_code == 1
    assert found["redis"] == "unreachable"
    assert found["label-studio-address"] in {"refused", "localhost-in-container"}
    assert found["model-folder"] == "not-writable"
