"""Reads the onset that an annotation marks on the timeline; Label Studio counts frames from 1, a grid from 0."""

from collections.abc import Iterable, Mapping
from typing import Any

from helioloop.labelstudio.untrusted import as_list, as_mapping, shown
from helioloop.records.controls import Controls


def read_onset(
    items: Iterable[Mapping[str, Any]], controls: Controls, *, n_frames: int
) -> tuple[int | None, str | None]:
    """Return the earliest start of an onset range (0-based), and a remark on whatever is doubtful.

    Label Studio checks nothing: 0, fractions, ends before starts and frames after the end of the video all occur.

    Parameters
    ----------
    items : iterable of mapping
        The ``result`` of an annotation.
    controls : Controls
        From `parse_config`.
    n_frames : int
        Frames on the grid; a start outside 1..n_frames is reported, not used.
    """
    frames: set[int] = set()
    labels: set[str] = set()
    remarks: list[str] = []
    for item in items:
        if controls.timeline is None or not _is_on_timeline(item, controls.timeline):
            continue
        value = as_mapping(item.get("value"))
        names, ranges = value.get("timelinelabels"), value.get("ranges")
        own = item.get("from_name") == controls.timeline
        if not isinstance(names, list) or not isinstance(ranges, list):
            if own and (not isinstance(names, list) or _has_onset(names, controls)):
                remarks.append(f"a timeline range cannot be read ({shown(item.get('value'))})")
        elif _has_onset(names, controls) and not own:
            remarks.append(
                f"an onset is marked with the control {shown(item.get('from_name'))} and not used: the project's is "
                f"{controls.timeline!r}"
            )
        elif _has_onset(names, controls):
            labels |= controls.onset_labels.intersection(name for name in names if isinstance(name, str))
            for stretch in ranges:
                frame, remark = _start(as_mapping(stretch), n_frames)
                frames |= {frame} if frame is not None else set()
                remarks += [remark] if remark else []
    if len(frames) > 1:
        marked = " and ".join(str(frame + 1) for frame in sorted(frames)[:3])
        remarks.append(
            f"onsets are marked at frames {marked}, and the earliest counts; delete the other ranges with the label "
            f"{' or '.join(map(repr, sorted(labels)))}"
        )
    return (min(frames) if frames else None), "; ".join(dict.fromkeys(remarks)) or None


def other_ranges(items: Iterable[Mapping[str, Any]], controls: Controls) -> str | None:
    """Return a remark on the labels of an annotation's timeline ranges where none of them is an onset; else None."""
    labels = [
        name
        for item in items
        if controls.timeline is not None and item.get("from_name") == controls.timeline
        for name in as_list(as_mapping(item.get("value")).get("timelinelabels"))
    ]
    if not labels or _has_onset(labels, controls):
        return None
    return (
        f"no onset is read: its timeline ranges have the label {shown(labels[0])}, and an onset has "
        f"{controls.timeline_label!r}"
    )


def _start(stretch: Mapping[str, Any], n_frames: int) -> tuple[int | None, str | None]:
    """Return the start of a range (0-based) or None, and a remark on it."""
    start, end = stretch.get("start"), stretch.get("end")
    frame = _frame(start, n_frames)
    if frame is None:
        return None, f"a timeline range starts at {shown(start)}, which is not a frame in 1..{n_frames}"
    if isinstance(end, int | float) and end < frame + 1:
        return (
            frame,
            f"a timeline range starts at frame {frame + 1} and ends before it, at {shown(end)}; its start counts",
        )
    return frame, None


def _is_on_timeline(item: Mapping[str, Any], timeline: str) -> bool:
    """Return True for an item of the timeline control, also of one that had another name when it was written."""
    return item.get("from_name") == timeline or (
        isinstance(item.get("from_name"), str) and item.get("type") == "timelinelabels"
    )


def _has_onset(names: list[Any], controls: Controls) -> bool:
    return any(isinstance(name, str) and name in controls.onset_labels for name in names)


def _frame(start: Any, n_frames: int) -> int | None:
    """Return the grid frame (0-based) of a timeline start; None where it is not a frame."""
    if isinstance(start, bool) or not isinstance(start, int | float) or not 1 <= start <= n_frames:
        return None
    return int(start) - 1 if start == int(start) else None
