"""The demo's summary and credentials."""

import json
from pathlib import Path

from helioloop.records.labels import Label
from helioloop_worker.demo.credentials import stored_login, stored_secret, write_private
from helioloop_worker.demo.summary import wrong_labels_found

E, N = Label.EMERGENCE, Label.NON_EMERGENCE


def test_wrong_labels_are_counted_among_as_many_first_cubes(tmp_path: Path) -> None:
    """Two of four labels are wrong, a and c; of the first two in the ranking, d and a, one is."""
    truth = tmp_path / "truth.csv"
    truth.write_text("cube,label\na,emergence\nb,emergence\nc,non-emergence\nd,non-emergence\n")
    labels = {"a": N, "b": E, "c": E, "d": N, "own": E, "unlabelled": None}
    found = wrong_labels_found(truth, labels, ["own", "d", "a", "c", "b"])
    assert found is not None
    assert "2 of 4, " in found
    assert "1 are among the first 2 cubes" in found
    assert wrong_labels_found(tmp_path / "absent.csv", labels, []) is None


def test_credentials_are_made_once_and_are_private(tmp_path: Path) -> None:
    """A second start reads the same; nobody but the owner can read the files."""
    login, secret = stored_login(tmp_path / "login.json"), stored_secret(tmp_path / "secret.json")
    assert stored_login(tmp_path / "login.json") == login
    assert stored_secret(tmp_path / "secret.json") == secret
    assert login.password not in repr(login)
    for name in ("login.json", "secret.json"):
        assert (tmp_path / name).stat().st_mode & 0o777 == 0o600


def test_a_private_file_replaces_a_public_one(tmp_path: Path) -> None:
    """Its permissions are not those of the file before."""
    path = tmp_path / "redis.conf"
    path.write_text("{}")
    path.chmod(0o644)
    write_private(path, json.dumps({"secret": 1}))
    assert json.loads(path.read_text()) == {"secret": 1}
    assert path.stat().st_mode & 0o777 == 0o600
