"""Values of settings that are read, and those that are refused, with the rule and the remedy."""

import errno
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from helioloop.errors import SettingsError
from helioloop.settings import load_settings


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """Sets variables; the settings are read anew in each test."""
    load_settings.cache_clear()
    yield monkeypatch
    load_settings.cache_clear()


def refusal(given: pytest.MonkeyPatch, name: str, value: str) -> str:
    """Return the sentence by which a value is refused."""
    given.setenv(name, value)
    load_settings.cache_clear()
    with pytest.raises(SettingsError) as caught:
        load_settings()
    return str(caught.value)


def test_the_home_folder_may_be_written_as_a_tilde(given: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A shell replaces it, and an environment file does not; without a home folder it is refused."""
    given.setenv("HOME", str(tmp_path))
    given.setenv("HELIOLOOP_MODEL_ROOT", "~/models")
    given.setenv("HELIOLOOP_RELEASE_ROOTS", '["~/releases", "other/~"]')
    settings = load_settings()
    assert settings.model_root == tmp_path / "models"
    assert settings.release_roots == [tmp_path / "releases", Path("other/~")]
    given.setattr(Path, "expanduser", lambda _: (_ for _ in ()).throw(RuntimeError))  # as without HOME and account
    assert "begins with ~, and the home folder is not known here" in refusal(given, "HELIOLOOP_MODEL_ROOT", "~/models")


@pytest.mark.parametrize("name", ["MODEL_ROOT", "MEDIA_ROOT", "CACHE_ROOT", "LABEL_STUDIO_MEDIA_ROOT"])
@pytest.mark.parametrize("value", [" /data/models", "/data/models ", "\t/data"])
def test_blanks_around_a_folder_are_refused(given: pytest.MonkeyPatch, name: str, value: str) -> None:
    """A blank in front would make an absolute path one below the current folder."""
    said = refusal(given, f"HELIOLOOP_{name}", value)
    assert said.startswith(f"HELIOLOOP_{name} is {value!r}, which begins or ends with a blank")
    assert "remove it" in said


@pytest.mark.parametrize("name", ["MODEL_ROOT", "MEDIA_ROOT", "CACHE_ROOT"])
def test_a_file_in_place_of_a_folder_is_refused(given: pytest.MonkeyPatch, tmp_path: Path, name: str) -> None:
    """A folder that is not there yet is made by whoever writes first; what Label Studio sees may be elsewhere."""
    name, file = f"HELIOLOOP_{name}", tmp_path / "file"
    file.write_text("x")
    assert refusal(given, name, str(file)).startswith(f"{name} is '{file}', which is a file; name a folder")
    assert f"which leads through the file {file}; name a folder" in refusal(given, name, str(file / "a" / "b"))
    assert "cannot be looked at (File name too long)" in refusal(given, name, f"/{'x' * 300}")
    given.setenv(name, str(tmp_path / "new" / "one"))
    given.setenv("HELIOLOOP_LABEL_STUDIO_MEDIA_ROOT", str(file))
    assert load_settings().label_studio_media_root == file
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("number", [errno.EACCES, errno.ESTALE, errno.EIO, errno.ENOTCONN])
def test_a_folder_that_cannot_be_looked_at_now_is_accepted(
    given: pytest.MonkeyPatch, tmp_path: Path, number: int
) -> None:
    """Whoever needs it gives the reason; most programs need only some of the folders."""
    away, whole = tmp_path / "away", Path.stat

    def looking(path: Path, **how: Any) -> Any:
        if path.is_relative_to(away):
            raise OSError(number, "away")
        return whole(path, **how)

    given.setattr(Path, "stat", looking)
    given.setenv("HELIOLOOP_CACHE_ROOT", str(away))
    given.setenv("HELIOLOOP_RELEASE_ROOTS", json.dumps([str(away / "releases"), str(tmp_path)]))
    settings = load_settings()
    assert settings.cache_root == away
    assert settings.release_roots == [away / "releases", tmp_path]


@pytest.mark.parametrize(
    ("value", "rule"),
    [
        ("/data", "which is not JSON"),
        ('"/data"', "which is not a JSON list of folders, for example '[\"/data\"]'"),
        ("5", "is not a JSON list of folders"),
        ('{"a": 1}', "is not a JSON list of folders"),
        ("[null]", "is not a JSON list of folders"),
        ('[["/data"]]', "is not a JSON list of folders"),
        ('[""]', "an empty path would be the current folder"),
        ('["/data", " /b"]', "begins or ends with a blank"),
        ('["a\\u0000b"]', "U+0000"),
        ("[" * 100_000, "which is not JSON"),
    ],
    ids=lambda value: value[:20],
)
def test_a_list_of_folders_that_is_none_is_refused(given: pytest.MonkeyPatch, value: str, rule: str) -> None:
    said = refusal(given, "HELIOLOOP_RELEASE_ROOTS", value)
    assert said.startswith("HELIOLOOP_RELEASE_ROOTS ")
    assert rule in said
    assert "pathlib" not in said
    assert len(said) < 300


@pytest.mark.parametrize("value", ["nan", "inf", "-inf", "1e9", "9" * 30, "-1"])
@pytest.mark.parametrize(
    "name", ["LABEL_STUDIO_TIMEOUT_SECONDS", "RECONCILE_SECONDS", "GRACE_SECONDS", "RETRAIN_QUIET_SECONDS"]
)
def test_a_duration_is_finite_and_at_most_a_year(given: pytest.MonkeyPatch, name: str, value: str) -> None:
    """Clocks and locks fail on longer ones, in the middle of the work."""
    assert refusal(given, f"HELIOLOOP_{name}", value).startswith(f"HELIOLOOP_{name} is '{value}': Input should be ")


@pytest.mark.parametrize(
    ("name", "value"), [("SEED", "9" * 30), ("EPOCHS", "9" * 30), ("BACKEND_THREADS", "99999"), ("EPOCHS", "1.5")]
)
def test_a_number_that_nobody_means_is_refused(given: pytest.MonkeyPatch, name: str, value: str) -> None:
    assert f"HELIOLOOP_{name} is '{value}': " in refusal(given, f"HELIOLOOP_{name}", value)


def test_words_are_read_in_any_case(given: pytest.MonkeyPatch) -> None:
    """Also with blanks around them; another word is refused with those that are allowed."""
    given.setenv("HELIOLOOP_DEVICE", " CPU ")
    given.setenv("HELIOLOOP_RECIPE", "Quick")
    given.setenv("HELIOLOOP_LOG_FORMAT", "JSON")
    settings = load_settings()
    assert (settings.device, settings.recipe, settings.log_format) == ("cpu", "quick", "json")
    assert "Input should be 'auto', 'cpu' or 'cuda'" in refusal(given, "HELIOLOOP_DEVICE", "gpu")
