"""Model versions on disk: a folder with card, weights and scores each; how they are admitted and published.

These files are the truth of models and scores; the web side reads the same folders, without torch::

    <model-dir>/format.json             format number of the folder: {"format": 1}
    <model-dir>/profile.json            profile of all cubes of the project; see `project_profile`
    <model-dir>/published.json          pointer to the published version: {"version": …}
    <model-dir>/history.jsonl           all publications and rollbacks, oldest first
    <model-dir>/staging/<fingerprint>/  a round that is not finished; can be resumed
    <model-dir>/versions/v0001/         card.json, plan.json, *.safetensors, growth-odds.json, scores/*.jsonl,
                                        field-statistics.json; pruned.json in place of the weights where
                                        these were removed (`pruning`)
    <model-dir>/.publishing.lock        exists while a process publishes a version or removes weights
"""

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Final

from helioloop.errors import RegistryError, UnknownVersion
from helioloop.files import atomic
from helioloop.records.cubes import CubeInfo, Key
from helioloop.records.scores import CubeScore
from helioloop.registry.card import Card, write_card
from helioloop.registry.completeness import missing_parts
from helioloop.registry.folder_format import check_format, ensure_format
from helioloop.registry.publications import POINTER, Publication, Publications
from helioloop.registry.score_store import read_score_file, read_scores, read_some_scores, write_scores
from helioloop.registry.staging import Staging
from helioloop.registry.version_names import CARD_FILE, FOLDER, is_version_name, number_of, version_name, version_names

PRUNED_FILE: Final = "pruned.json"
"""File in the folder of a version whose weights were removed; written before they are."""


class Registry:
    """The model folder of one project. All writes are atomic; reading needs no lock.

    All methods raise a `RegistryError` where the folder has another format; see `folder_format`.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._publications = Publications(root)

    # -- reading ---------------------------------------------------------------------------------

    def published(self) -> str | None:
        """Return the name of the published version, or None; a damaged pointer is a `RegistryError`."""
        return self._publications.published()

    def published_if_readable(self) -> str | None:
        """Return the name of the published version, None where there is none or the pointer is damaged."""
        return self._publications.published_if_readable()

    def history(self) -> list[Publication]:
        """Return all publications and rollbacks, oldest first."""
        return self._publications.history()

    def last_published(self) -> str | None:
        """Return the version that a lost pointer most likely named; None where there is no version."""
        return self._publications.last()

    def rollback_command(self, version: str) -> str:
        """Return the shell command that publishes `version`."""
        return self._publications.rollback_command(version)

    def unpublished(self) -> Card | None:
        """Return the card of the newest version if its publication is missing or incomplete; None otherwise.

        The card may be of a version that the promotion check rejected. A publication is incomplete where the last line
        of the history names the version and the pointer does not: `publish` was killed between its two writes. Where a
        later line names another version, the newest one was published and rolled back. Where another version was
        published after the newest one's promotion check, a human chose that one. What was copied or renamed by hand is
        published by hand.
        """
        newest = self.latest()
        # The pointer is read before the history: in the other order, a rollback in between would look like an
        # incomplete publication, and would be undone.
        if (
            newest is None
            or newest.version == self.published_if_readable()
            or self._publications.overtaken(newest) is not None
            or self.made_as(newest.version) is not None
        ):
            return None
        return newest

    def versions(self) -> list[str]:
        """Return the names of all versions, oldest first."""
        check_format(self.root)
        return version_names(self.root)

    def was_lost(self, version: str) -> bool:
        """Return whether a version once had this name and is not in the folder, which was restored from a backup.

        A later version exists, and names are not given again (see `admit`).
        """
        names = self.versions()
        return version not in names and bool(names) and 0 < number_of(version) < number_of(names[-1])

    def folder(self, version: str) -> Path:
        """Return the folder of a version; an unknown name is an `UnknownVersion`."""
        check_format(self.root)
        path = self.root / FOLDER / version
        if not is_version_name(version) or not path.is_dir():
            names = self.versions()
            known = ", ".join(names) or "none yet"
            if version == self.published_if_readable():
                instead = f"run `{self.rollback_command('VERSION')}` with one of: {known}"
                raise UnknownVersion(
                    f"{self.root} has published {version} and no folder of it, as after the restore or the copy of a "
                    f"part; restore versions/{version} from a backup, or "
                    f"{instead if names else f'delete {POINTER}, because there is no other version'}"
                )
            raise UnknownVersion(f"version {version!r} is not in {self.root}; choose one of: {known}")
        return path

    def is_pruned(self, version: str) -> bool:
        """Return whether the weights of a version were removed by ``helioloop prune``."""
        return (self.folder(version) / PRUNED_FILE).exists()

    def folder_with_weights(self, version: str) -> Path:
        """Return the folder of a version that can score cubes.

        Raises
        ------
        UnknownVersion
            If there is no such version.
        RegistryError
            If its weights were removed.
        """
        folder = self.folder(version)
        if (folder / PRUNED_FILE).exists():
            usable = ", ".join(name for name in self.versions() if not self.is_pruned(name)) or "none"
            raise RegistryError(
                f"the weights of {version} in {self.root} were removed by `helioloop prune`, so it can neither score "
                f"cubes nor be published; choose one of: {usable}"
            )
        return folder

    def card(self, version: str) -> Card:
        """Return the card of a version, under the name of its folder; see `made_as`."""
        return replace(self._stored_card(version), version=version)

    def made_as(self, version: str) -> str | None:
        """Return the name under which a version was made if its folder was copied or renamed since, else None."""
        made = self._stored_card(version).version
        return None if made == version else made

    def _stored_card(self, version: str) -> Card:
        return Card.read(self.folder(version) / CARD_FILE)

    def latest(self) -> Card | None:
        """Return the card of the newest version, published or not; None where there is none."""
        names = self.versions()
        return self.card(names[-1]) if names else None

    def scores(self, version: str, *, curves: bool = True) -> dict[Key, CubeScore]:
        """Return the scores of a version by cube name and content hash; the latest of each cube counts.

        Without `curves` they are read faster and take less memory.
        """
        return read_scores(self.folder(version) / "scores", curves=curves)

    def scores_of(self, version: str, cubes: Iterable[CubeInfo], *, curves: bool = True) -> dict[Key, CubeScore]:
        """Return the scores of some cubes by a version; cubes without a score are absent."""
        return read_some_scores(self.folder(version) / "scores", (cube.key for cube in cubes), curves=curves)

    def score_files(self, version: str) -> frozenset[str]:
        """Return the names of the score files of a version; each is written once."""
        return frozenset(path.name for path in (self.folder(version) / "scores").glob("*.jsonl"))

    def scores_in(self, version: str, file: str) -> list[CubeScore]:
        """Return the scores in one score file of a version, without masking curves."""
        return read_score_file(self.folder(version) / "scores" / file, curves=False)

    def _former_names(self) -> set[str]:
        """Return the names in history and pointer, whose versions the folder may have lost; no name is given again."""
        names = {self.published_if_readable() or ""}
        with suppress(RegistryError):  # a damaged line
            names |= {line.version for line in self.history()}
        return names

    # -- writing ---------------------------------------------------------------------------------

    def staging(self, fingerprint: str) -> Path:
        """Return the staging folder of the round with this fingerprint; it is created where it is missing."""
        return Staging(self.root).create(fingerprint)

    def admit(
        self,
        staging: Path,
        card: Card,
        *,
        used_names: Iterable[str] = (),
        confirm: Callable[[], None] = lambda: None,
    ) -> Card:
        """Make a finished staging folder the next version, unpublished, and return its card.

        The folder gets its card and is renamed, so that a version is complete or absent. Two writers cannot get the
        same name: renaming to an existing folder fails, and the next name is tried. Nothing is created that is gone: a
        process that was stopped while another one admitted the folder makes no second version of what is left.

        Parameters
        ----------
        staging : Path
            The staging folder.
        card : Card
            Its card, without a version.
        used_names : iterable of str
            Names that predictions in Label Studio have, beside those in the history. The new name is a later one: a
            model folder that was restored from a backup may have lost versions whose predictions are still there.
        confirm : callable
            Called last before the folder is renamed; raises where this process may not admit it any more.

        Raises
        ------
        RegistryError
            If the folder is gone, or lacks weights, plan or scores.
        """
        ensure_format(self.root)
        versions = self.root / FOLDER
        versions.mkdir(parents=True, exist_ok=True)
        number = max((number_of(name) for name in {*self.versions(), *self._former_names(), *used_names}), default=0)
        while True:
            number += 1
            named = replace(card, version=version_name(number))
            write_card(staging, named)
            if lacking := missing_parts(staging, card.member_files, fingerprint=card.fingerprint):
                raise RegistryError(
                    f"{staging} does not become {named.version}, because {'; '.join(lacking)}; run the round again"
                )
            confirm()
            try:
                staging.rename(versions / named.version)
            except FileExistsError:
                continue
            except OSError as error:
                if (versions / named.version).exists() and staging.is_dir():
                    continue
                raise RegistryError(
                    f"{staging} cannot become {named.version}: {error.strerror}; correct that and run it again"
                ) from error
            atomic.sync_folder(versions)
            return named

    def publish(self, version: str, *, why: str) -> None:
        """Publish `version`: the history is written first, the pointer last.

        A damaged pointer is replaced. Publishing the published version changes nothing.

        Raises
        ------
        UnknownVersion
            If there is no such version.
        RegistryError
            If its weights were removed, it lacks weights, plan or scores, or another process publishes for too long.
        """
        self.folder(version)
        if self.published_if_readable() == version:
            return
        with self.publishing():
            self._write_publication(version, why=why)

    def publish_candidate(self, card: Card, *, why: str) -> str | None:
        """Publish a version that passed its promotion check, unless another one was published since.

        Returns
        -------
        str or None
            Why it was not published, in a sentence; None where it is published now.

        Raises
        ------
        RegistryError
            As `publish`.
        """
        with self.publishing():
            lines = len(self.history())
            if self.published_if_readable() == card.version:
                return None
            if (reason := self._publications.overtaken(card)) is None:
                self._write_publication(card.version, why=why, lines_before=lines)
            return reason

    def restore_pointer(self) -> str | None:
        """Publish the version of the last line of the history again where the pointer names none or another one.

        The last line is a publication that broke off, or the pointer was written late, by a process that was stopped
        while another one published. Where it is of the newest version, `unpublished` returns that, and nothing is done
        here.

        Returns
        -------
        str or None
            The version that is published again; None where nothing was done.
        """
        with self.publishing():
            lines, pointer, names = self.history(), self.published_if_readable(), self.versions()
            if not lines or lines[-1].version not in names or pointer == lines[-1].version:
                return None
            lost_lines = pointer not in {line.version for line in lines}  # the history is then older than the pointer
            if pointer is not None and (lost_lines or lines[-1].version == names[-1]):
                return None
            self._write_publication(lines[-1].version, why=lines[-1].why)
            return lines[-1].version

    def _write_publication(self, version: str, *, why: str, lines_before: int | None = None) -> None:
        """Write history and pointer; only while `publishing`.

        Raises
        ------
        RegistryError
            If the version lacks a part, or another process has published meanwhile; see `Publications.record`.
        """
        folder, card = self.folder_with_weights(version), self.card(version)
        lacking = missing_parts(folder, card.member_files, fingerprint=card.fingerprint)
        if lacking:
            raise RegistryError(
                f"{version} in {self.root} is not published, because {'; '.join(lacking)}; restore its folder from a "
                "backup, or publish another version"
            )
        self._publications.record(version, why=why, lines_before=lines_before)

    def publishing(self) -> AbstractContextManager[None]:
        """Keep other processes from publishing a version, and from removing weights."""
        return self._publications.publishing()

    def add_scores(self, version: str, scores: Iterable[CubeScore]) -> None:
        """Add scores to a version; each call writes a new file, so that writers do not conflict."""
        write_scores(self.folder(version) / "scores", scores)
