"""Checks of what is left in the model folder and in Label Studio, with no code of helioloop."""

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from defusedxml.ElementTree import fromstring
from safetensors import safe_open

_PARTICULAR = re.compile(r"http://\S+|/\S+|[0-9a-f]{12,}|[0-9]+(\.[0-9]+)*")


def published(model_dir: Path) -> str | None:
    """Return the version that the pointer names; None where there is no pointer or it cannot be read."""
    try:
        return str(json.loads((model_dir / "published.json").read_text())["version"])
    except (FileNotFoundError, ValueError, KeyError):
        return None


def history(model_dir: Path) -> list[str]:
    """Return the versions in the history, oldest first."""
    path = model_dir / "history.jsonl"
    return [json.loads(line)["version"] for line in path.read_text().splitlines()] if path.exists() else []


def versions(model_dir: Path) -> frozenset[str]:
    """Return the names of all versions."""
    return frozenset(path.name for path in model_dir.glob("versions/v*"))


def halves(model_dir: Path, cubes: Collection[str]) -> list[str]:
    """Return what the published version lacks, one phrase each.

    It needs a card, a plan, the weights of every member, finite and of one round, and a score of every cube.
    """
    version = published(model_dir)
    if version is None:
        return []
    folder, found = model_dir / "versions" / version, []
    try:
        card = json.loads((folder / "card.json").read_text())
        plan = json.loads((folder / "plan.json").read_text())
        if card["version"] != version:
            found.append(f"the card is of {card['version']}")
        if {member["name"] for member in plan["members"]} != card["members"].keys():
            found.append("card and plan name other members")
        for name, member in card["members"].items():
            with safe_open(folder / member["file"], framework="np") as file:
                if file.metadata() != {"fingerprint": card["fingerprint"], "member": name}:
                    found.append(f"the weights of {name} are of another round")
                if not all(np.isfinite(file.get_tensor(key)).all() for key in file.keys()):  # noqa: SIM118
                    found.append(f"the weights of {name} are not finite")
        lines = [json.loads(line) for path in folder.glob("scores/*.jsonl") for line in path.read_text().splitlines()]
        if lacking := {*cubes} - {line["cube"] for line in lines}:
            found.append(f"{len(lacking)} cubes have no score")
    except Exception as error:  # noqa: BLE001 - whatever is wrong with a file
        found.append(f"{type(error).__name__}: {error}")
    return [f"{version}: {phrase}" for phrase in found]


def differences(model_dir: Path, stamps: Mapping[str, str], answers: Mapping[str, str]) -> tuple[list[str], list[str]]:
    """Return the corrections that the label snapshot lacks, and those that it has although they are not there.

    Parameters
    ----------
    model_dir : Path
        With the snapshot.
    stamps : mapping
        Annotation in Label Studio -> the time of its last change.
    answers : mapping
        Cube -> its answer, of cubes that have one.
    """
    try:
        snapshot = json.loads((model_dir / "labels.json").read_text())
    except (FileNotFoundError, ValueError):
        return [*stamps], []
    found, cubes = snapshot["annotations"], snapshot["cubes"]
    verified = {cube: entry["label"] for cube, entry in cubes.items() if entry.get("verified")}
    lost = [f"annotation {number}" for number, stamp in stamps.items() if found.get(number) != stamp]
    lost += [f"{cube}: {verified.get(cube)} in place of {word}" for cube, word in answers.items()
             if verified.get(cube) != word]  # fmt: skip
    doubled = [f"annotation {number}" for number in found.keys() - stamps.keys()]
    return lost, doubled + [f"{cube} counts as verified" for cube in verified.keys() - answers.keys()]


def shown(rows: Collection[tuple[int, str]], tasks: Collection[int], *, version: str | None) -> list[str]:
    """Return what is wrong with the predictions of a version: each task needs one.

    Parameters
    ----------
    rows : collection of (int, str)
        Task and version of each prediction.
    tasks : collection of int
        All tasks.
    version : str or None
        The published version.
    """
    if version is None:
        return ["no version is published"]
    found = [task for task, of in rows if of == version]
    lacking, doubled = {*tasks} - {*found}, len(found) - len({*found})
    return [f"{len(lacking)} tasks lack a prediction of {version}"] * bool(lacking) + [
        f"{doubled} tasks have two predictions of {version}"
    ] * bool(doubled)


def unfitting(entries: Collection[Mapping[str, Any]], label_config: str) -> list[str]:
    """Return how many predictions name a control or a value that the labelling configuration lacks, in a phrase."""
    root = fromstring(label_config, forbid_dtd=True)
    values = {
        tag.get("name"): {str(child.get("value")) for child in tag}
        for kind in ("Choices", "TimelineLabels")
        for tag in root.iter(kind)
    }
    found = 0
    for entry in entries:
        items = [(item["from_name"], item["value"].get("choices") or item["value"].get("timelinelabels"))
                 for item in entry["result"]]  # fmt: skip
        found += any(not {*named} <= values.get(control, set()) for control, named in items)
    return [f"{found} predictions do not fit the labelling configuration"] * bool(found)


@dataclass
class Watched:
    """What was seen of a model folder before, to find what must not happen from one look to the next.

    Parameters
    ----------
    weights : dict
        Folder of a round (device and inode) and name of a member's file -> the file (inode and time).
    human : str or None
        The version that a human published last by hand; None where a round has published one since.
    known : frozenset of str
        The versions that there were when a human published one.
    trained_again, undone, older : list of str
        Finished members that were trained again, rollbacks that were undone, and versions that took the place of
        a newer one without a human.
    """

    weights: dict[tuple[int, str], tuple[int, int]] = field(default_factory=dict)
    human: str | None = None
    known: frozenset[str] = frozenset()
    newest: int = 0
    trained_again: list[str] = field(default_factory=list)
    undone: list[str] = field(default_factory=list)
    older: list[str] = field(default_factory=list)

    def look(self, model_dir: Path, *, has_orphans: bool = False) -> None:
        """Look at the folder, and note what is wrong.

        An orphan, or a process that was stopped, may finish a member that another worker has trained meanwhile; that is
        not training it again.
        """
        there = set()
        for path in [*model_dir.glob("staging/*/*.safetensors"), *model_dir.glob("versions/*/*.safetensors")]:
            try:
                of, file = path.parent.stat().st_ino, path.stat()
            except FileNotFoundError:  # it was admitted or discarded just now
                continue
            there.add((of, path.name))
            now = (file.st_ino, file.st_mtime_ns)
            if self.weights.setdefault((of, path.name), now) != now:
                if not has_orphans:
                    self.trained_again.append(f"{path.parent.name}/{path.name}")
                self.weights[of, path.name] = now
        self.weights = {key: file for key, file in self.weights.items() if key in there}
        version = published(model_dir)
        if version is None:
            return
        number = int(version[1:])
        if self.human is not None:
            if version != self.human and version in self.known:
                self.undone.append(f"{version} took the place of {self.human}, which a human had published")
            if version != self.human:
                self.human, self.newest = None, number
        elif number < self.newest:
            self.older.append(f"{version} took the place of v{self.newest:04d}")
        self.newest = number

    def by_hand(self, version: str, known: frozenset[str]) -> None:
        """Note that a human has published a version when there were the `known` ones."""
        self.human, self.known, self.newest = version, known, int(version[1:])

    def forget(self, path: Path) -> None:
        """Forget a file that the test itself has damaged."""
        self.weights.pop((path.parent.stat().st_ino, path.name), None)


def failures(log: Path) -> dict[str, int]:
    """Return the last lines of all tracebacks in the workers' log, and how often each is there.

    What differs from case to case, such as paths, ports, versions and hashes, is left out.
    """
    found: dict[str, int] = {}
    inside = False
    for line in log.read_text(errors="replace").splitlines():
        if line.startswith("Traceback "):
            inside = True
        elif inside and line and not line.startswith((" ", "\t")):
            inside = False
            text = _PARTICULAR.sub("*", line)[:100]
            found[text] = found.get(text, 0) + 1
    return dict(sorted(found.items(), key=lambda entry: -entry[1]))
