"""Describes an existing project before it is set up: controls, tasks, annotations, storage, backends and webhooks."""

from collections.abc import Iterator
from typing import Any

from helioloop.labelstudio.copied_tasks import is_copied
from helioloop.labelstudio.tasks import cube_tasks
from helioloop.records.controls import Controls
from helioloop.records.labels import Label
from helioloop.settings import plain_url
from helioloop_worker.labelstudio.port import ProjectInfo
from helioloop_worker.labelstudio.setup_port import LabelStudioSetup


def found_sentences(label_studio: LabelStudioSetup, info: ProjectInfo, controls: Controls) -> Iterator[str]:
    """Yield what a project has, one line each; no header and no password is in them."""
    yield f"found: project {info.id}, {info.title!r}"
    yield f"controls: {_controls(controls)}"
    exported = label_studio.tasks(info.id)
    shown = sum(len(task.ids) for task in cube_tasks(exported).values())
    count = sum(len(_annotations(entry)) for entry in exported)
    yield f"tasks: {len(exported)}, {shown} with a cube of helioloop; annotations: {count}"
    if len(exported) > shown:
        yield (
            f"warning: {len(exported) - shown} tasks have no cube of helioloop, so they are left alone and get no "
            "predictions; `helioloop ingest` adds tasks for the cubes of a release"
        )
    if copied := sum(is_copied(entry.get("data"), info.id) for entry in exported):
        yield (
            f"warning: {copied} tasks show curves and reasons of another project, from which they were copied, and no "
            "answer to them counts as blind; `helioloop ingest` of their releases lets them show those of this project"
        )
    if truths := sum(_is_ground_truth(one) for entry in exported for one in _annotations(entry)):
        yield (
            f"warning: {truths} of the annotations are marked as ground truth, and each counts before all others of "
            "its task, later corrections too; Label Studio marks imported annotations so unless they have "
            '"ground_truth": false; take the mark off where annotators may correct them'
        )
    yield f"storage: {', '.join(label_studio.storages(info.id)) or 'none yet'}"
    backends = [f"{one.title!r} at {plain_url(one.url)}" for one in label_studio.backends(info.id)]
    yield f"backends: {', '.join(backends) or 'none yet'}"
    hooks = [plain_url(hook.url) for hook in label_studio.webhooks(info.id)]
    yield f"webhooks: {', '.join(hooks) or 'none yet'}"


def _controls(controls: Controls) -> str:
    words = []
    for label in Label:
        shown, value = controls.class_names[label], controls.values[label]
        words.append(f"{label.value} is {shown!r}" + (f" (alias {value!r})" if shown != value else ""))
    onset = (
        "no onset"
        if controls.timeline is None
        else f'onset {controls.timeline_label!r} in <TimelineLabels name="{controls.timeline}">'
    )
    return (
        f'{", ".join(words)} in <Choices name="{controls.choices}">; {onset}; '
        f'<Video name="{controls.video}" value="${controls.video_field}">'
    )


def _annotations(entry: dict[str, Any]) -> list[Any]:
    found = entry.get("annotations")
    return found if isinstance(found, list) else []


def _is_ground_truth(annotation: Any) -> bool:
    return isinstance(annotation, dict) and bool(annotation.get("ground_truth")) and not annotation.get("was_cancelled")
