"""Damaged files of a model folder: put aside with a reason, so that what they held is made again.

    <model-dir>/damaged/<time>-<name>              the file
    <model-dir>/damaged/<time>-<name>.reason.txt   where it was, and why it could not be read

helioloop writes files whole or not at all; a disk that fails, a copy that broke off or an editor damages them. Only
files that can be made again are put aside. Cards, profiles and controls are not: their errors name the remedy.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from helioloop.errors import RegistryError
from helioloop.files import atomic
from helioloop.messaging import messages, queues
from helioloop.model.growth_odds import GrowthOdds
from helioloop.model.plan import Plan
from helioloop.registry.completeness import weights_damage
from helioloop.registry.label_snapshot import Snapshot
from helioloop.registry.prediction_controls import PREDICTION_CONTROLS, read_prediction_controls
from helioloop.registry.publications import POINTER
from helioloop.registry.random_checks import RandomChecks, random_checks_path
from helioloop.registry.score_store import check_score_file
from helioloop.registry.shown_versions import SHOWN_VERSIONS, read_shown_versions
from helioloop.registry.staging import ATTEMPTS_FILE, GROWTH_ODDS_FILE, LOCATED, PLAN_FILE, UNLOCATED, Staging
from helioloop.registry.version_names import FOLDER
from helioloop_worker.context import Context
from helioloop_worker.labelstudio.data_edits import FILE_NAME as DATA_EDIT
from helioloop_worker.labelstudio.data_edits import last_data_edit
from helioloop_worker.labelstudio.tabs import FILE_NAME as TABS
from helioloop_worker.labelstudio.tabs import read_tabs
from helioloop_worker.loop.checked import CHECKED
from helioloop_worker.loop.damaged_weights import replace_weights
from helioloop_worker.loop.written_back import WRITTEN, read_written, require_whole_write_back

DAMAGED: Final = "damaged"
"""Folder of a model folder with the files that were put aside."""

Check = Callable[[Path], object]
"""Reads a file; raises where it is damaged."""


def put_damaged_aside(context: Context, project: int) -> list[str]:
    """Put the damaged files of a project aside, and return what was done, one sentence each."""
    model_dir = context.settings.model_dir(project)
    found = [*_checks(model_dir, context.registry(project).published_if_readable())]
    done = [sentence for path, check in found if (sentence := _put_aside(model_dir, path, check)) is not None]
    more = (_renew_random_checks(context, project), replace_weights(context, project, notes=model_dir / DAMAGED))
    return [*done, *(sentence for sentence in more if sentence is not None)]


def _checks(model_dir: Path, published: str | None) -> Iterator[tuple[Path, Check]]:
    """Yield the files that can be made again, and how each is checked."""
    yield model_dir / POINTER, _pointer
    yield model_dir / "labels.json", lambda _: Snapshot.read(model_dir)
    yield model_dir / CHECKED, _mapping
    yield model_dir / WRITTEN, lambda _: read_written(model_dir)
    yield model_dir / PREDICTION_CONTROLS, lambda _: read_prediction_controls(model_dir)
    yield model_dir / DATA_EDIT, lambda _: last_data_edit(model_dir)
    yield model_dir / TABS, lambda _: read_tabs(model_dir)
    yield model_dir / SHOWN_VERSIONS, lambda _: read_shown_versions(model_dir)
    for path in sorted((model_dir / "unscorable").glob("*.json")):
        yield path, _json
    staging = Staging(model_dir)
    for fingerprint in staging.fingerprints():
        if staging.is_locked(fingerprint):
            continue
        folder = staging.folder(fingerprint)
        yield folder / PLAN_FILE, lambda path: Plan.read(path.parent)
        yield folder / ATTEMPTS_FILE, _attempts
        yield folder / GROWTH_ODDS_FILE, lambda path: GrowthOdds.read(path.parent)
        for part in (UNLOCATED, LOCATED):
            for path in sorted((folder / part).glob("*.jsonl")):
                yield path, check_score_file
        for path in sorted(folder.glob("*.safetensors")):
            yield path, _weights
    if published is not None:
        for path in sorted((model_dir / FOLDER / published / "scores").glob("*.jsonl")):
            yield path, check_score_file


def _put_aside(model_dir: Path, path: Path, check: Check) -> str | None:
    """Put a file aside where its check fails; return what was done, None where it is sound or gone."""
    try:
        if path.exists():
            check(path)
    except FileNotFoundError:
        return None
    except OSError as error:
        return f"{path.relative_to(model_dir)} cannot be read ({type(error).__name__}); check the file system"
    except (RegistryError, ValueError, TypeError, KeyError, AttributeError) as error:
        reason = str(error)
    else:
        return None
    shown = path.relative_to(model_dir)
    target = model_dir / DAMAGED / f"{datetime.now(UTC).strftime('%Y%m%dT%H%M%S%f')}-{path.name}"
    target.parent.mkdir(exist_ok=True)
    atomic.write_text(target.with_name(f"{target.name}.reason.txt"), f"{shown}\n{reason}\n")
    with suppress(FileNotFoundError):
        path.replace(target)
    return f"{shown} is damaged and was put aside as {target.relative_to(model_dir)}; what it held is made again"


def _renew_random_checks(context: Context, project: int) -> str | None:
    """Have damaged random checks chosen again by a write-back, and return what was done.

    Until then the damaged file stays, because the backend answers nothing beside it. Without the file it would answer
    with predictions of random checks that nobody has answered.
    """
    model_dir, version = context.settings.model_dir(project), context.registry(project).published_if_readable()
    path = random_checks_path(model_dir)
    if version is None:  # nothing is answered, and the next version's publication chooses them
        return _put_aside(model_dir, path, lambda _: RandomChecks.read(model_dir))
    try:
        RandomChecks.read(model_dir)
    except RegistryError:
        require_whole_write_back(model_dir)
        if queues.send(context.connection, messages.WriteBack(project=project, version=version)):
            return f"{path.name} is damaged, and the backend answers nothing meanwhile: choosing random checks again"
    return None


def restore_pointer(context: Context, project: int) -> str | None:
    """Publish the version of the last line of the history again, where the pointer was lost or names another one.

    Returns
    -------
    str or None
        What was done, in a sentence; None where nothing was.
    """
    registry = context.registry(project)
    before = registry.published_if_readable()
    version = registry.restore_pointer()
    if version is None:
        return None
    found = "no version was published" if before is None else f"{before} was published"
    return f"{found}, and the history ends with {version}: it is published again"


def _json(path: Path) -> Any:
    return json.loads(path.read_text())


def _mapping(path: Path) -> None:
    dict(_json(path))


def _pointer(path: Path) -> None:
    _ = _json(path)["version"].removeprefix("v")


def _attempts(path: Path) -> None:
    values = _json(path)
    _ = values["attempts"] + values["files"], tuple(values["reasons"])


def _weights(path: Path) -> None:
    if (phrase := weights_damage(path)) is not None:
        raise ValueError(phrase)
