"""Secrets in files: what is read, and what is refused with variable, path, rule and remedy."""

import os
import threading
from pathlib import Path

import pytest

from helioloop.environment.secret_files import LARGEST_BYTES, read_secret
from helioloop.errors import SettingsError

NAME = "HELIOLOOP_WEBHOOK_SECRET_FILE"


@pytest.mark.parametrize(
    ("content", "secret"),
    [
        (b"s3cret", "s3cret"),
        (b"s3cret\n", "s3cret"),
        (b"s3cret\r\n", "s3cret"),
        (b"s3cret\n\n", "s3cret"),
        (b"\xef\xbb\xbfs3cret\r\n", "s3cret"),
        ("pässwörd\n".encode(), "pässwörd"),
        (b" in ner ", " in ner "),
        (b"x" * LARGEST_BYTES, "x" * LARGEST_BYTES),
    ],
)
def test_line_ends_after_a_secret_are_left_out(tmp_path: Path, content: bytes, secret: str) -> None:
    """Nothing else is: blanks are the matter of the rules for credentials."""
    file = tmp_path / "secret"
    file.write_bytes(content)
    assert read_secret(NAME, file) == secret


def test_a_link_is_followed(tmp_path: Path) -> None:
    """Kubernetes mounts secrets as links to links."""
    (tmp_path / "data").write_text("s3cret\n")
    (tmp_path / "secret").symlink_to(tmp_path / "data")
    assert read_secret(NAME, tmp_path / "secret") == "s3cret"


@pytest.mark.parametrize(
    ("content", "rule"),
    [
        (b"", "which is empty"),
        (b"\n", "which is empty"),
        (b"  \r\n", "which is empty"),
        (b"one\ntwo\n", "more than one line"),
        (b"one\rtwo", "more than one line"),
        (b"\xff\xfes\x003", "not text in UTF-8"),
        (b"s3\x00cret", "control characters"),
        (b"s3\tcret", "control characters"),
        (b"x" * (LARGEST_BYTES + 1), "larger than 8192 bytes"),
    ],
)
def test_a_file_that_is_no_secret_is_refused(tmp_path: Path, content: bytes, rule: str) -> None:
    """The sentence names variable, path and rule, and nothing of the content."""
    file = tmp_path / "secret"
    file.write_bytes(content)
    with pytest.raises(SettingsError) as caught:
        read_secret(NAME, file)
    said = str(caught.value)
    assert said.startswith(f"{NAME} names {file}, which ")
    assert rule in said
    assert "; " in said
    assert "one" not in said.replace("one line", "").replace("more than one", "")
    assert caught.value.__cause__ is None


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="does not exist; create the file"):
        read_secret(NAME, tmp_path / "absent")
    with pytest.raises(SettingsError, match="which is a folder; name the file in it"):
        read_secret(NAME, tmp_path)
    with pytest.raises(SettingsError, match="cannot be read"):
        read_secret(NAME, tmp_path / ("x" * 5000))


def test_a_file_without_the_right_to_read_it_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the operating system reports it to a user that is not root."""

    def refuse(*_: object, **__: object) -> int:
        raise PermissionError(13, "Permission denied", "/run/secrets/x")

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(SettingsError, match=f"{NAME} names {tmp_path}/secret, which the user of this process"):
        read_secret(NAME, tmp_path / "secret")


def test_a_pipe_without_a_writer_is_refused_at_once(tmp_path: Path) -> None:
    """Opening it in the usual way would wait for ever."""
    os.mkfifo(tmp_path / "pipe")
    said: list[str] = []

    def read() -> None:
        with pytest.raises(SettingsError) as caught:
            read_secret(NAME, tmp_path / "pipe")
        said.append(str(caught.value))

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    thread.join(5)
    assert "not a regular file" in said[0]


def test_an_endless_device_is_refused() -> None:
    with pytest.raises(SettingsError, match="not a regular file"):
        read_secret(NAME, Path("/dev/zero"))


@pytest.mark.parametrize("secret", ["hunter2hunter2", "redis://:hunter2@redis:6379/0", "hunter2/hunter2+A="])
def test_a_secret_in_place_of_its_path_is_not_shown(secret: str) -> None:
    """Putting the value into the variable for the file is a common mistake."""
    with pytest.raises(SettingsError, match="not shown, because it may be the secret itself") as caught:
        read_secret(NAME, Path(secret))
    assert "hunter2" not in str(caught.value)
