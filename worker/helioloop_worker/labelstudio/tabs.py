"""Keeps helioloop's tabs in a project up to date; a team's own tabs are never changed.

The ids of the tabs are kept in ``tabs.json`` of the model folder. An id alone does not tell that a tab is helioloop's:
where Label Studio's database was restored from an older backup, or the project was moved, a team's tab may have it now.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from helioloop.errors import RegistryError
from helioloop.files import atomic
from helioloop_worker.labelstudio.port import LabelStudio, Tab
from helioloop_worker.labelstudio.tab import EARLIER_TITLE, FIRST, TABS, TabSettings

FILE_NAME = "tabs.json"


def update_tabs(label_studio: LabelStudio, project: int, model_dir: Path, *, restore: bool = False) -> None:
    """Make helioloop's tabs where they were never made, and restore filters and ordering of those that are there.

    Title, columns and widths that the team changed stay, except that the tab of random checks never shows score and
    crude label. A tab that the team deleted stays deleted; where another tab has its id now, it was lost and is made
    anew. The only tab of earlier versions of helioloop becomes the first one; it then hides also the columns that a new
    tab hides.

    Parameters
    ----------
    label_studio : LabelStudio
        Label Studio.
    project : int
        Label Studio project.
    model_dir : Path
        The project's model folder.
    restore : bool
        True makes deleted tabs anew.

    Raises
    ------
    LabelStudioError
        Where Label Studio refuses a call; repeat this.
    RegistryError
        Where the file of the tabs is damaged.
    """
    there = label_studio.tabs(project)
    ids = _without_reused(read_tabs(model_dir), there)
    for wanted in TABS:
        known = ids.get(wanted.title)
        tab = _find(there, wanted, known, others={*ids.values()})
        if tab is None and known is not None and not restore:
            continue
        if tab is None:
            taken = any(one.settings.get("title") == wanted.title for one in there)
            title = _second_title(wanted) if taken else wanted.title
            ids[wanted.title] = label_studio.create_tab(project, {**wanted.new(), "title": title})
        else:
            ids[wanted.title] = tab.id
            restored = wanted.restored(tab.settings, as_new=tab.settings.get("title") == EARLIER_TITLE)
            if restored != tab.settings:
                label_studio.change_tab(project, tab.id, restored)
        if ids.get(wanted.title) != known:
            atomic.write_json(model_dir / FILE_NAME, ids)  # at once: a tab is never made twice


def _without_reused(ids: Mapping[str, int], there: Sequence[Tab]) -> dict[str, int]:
    """Return the kept ids without those that another tab has now."""
    settings = {tab.id: tab.settings for tab in there}
    wanted = {tab.title: tab for tab in TABS}
    reused = {
        title
        for title, number in ids.items()
        if title in wanted and number in settings and not _is_own(wanted[title], settings[number])
    }
    return {title: number for title, number in ids.items() if title not in reused}


def _is_own(wanted: TabSettings, stored: Mapping[str, Any]) -> bool:
    """Return whether a tab with the kept id is helioloop's: the team may have changed its title or its filters."""
    titles = {wanted.title, _second_title(wanted), *([EARLIER_TITLE] if wanted.title == FIRST else [])}
    return stored.get("title") in titles or wanted.has_filters(stored)


def _second_title(wanted: TabSettings) -> str:
    """Return the title of a new tab where a team's tab has the usual one."""
    return f"{wanted.title} (helioloop)"


def _find(there: Sequence[Tab], wanted: TabSettings, known: int | None, *, others: set[int]) -> Tab | None:
    """Return the tab with the kept id; without one, a tab of the title with the same filters, or the earlier one."""
    if known is not None:
        return next((tab for tab in there if tab.id == known), None)
    free = [tab for tab in there if tab.id not in others]
    for tab in free:
        title = tab.settings.get("title")
        if title == wanted.title and wanted.matches(tab.settings):
            return tab
        if title == EARLIER_TITLE and wanted.title == FIRST:
            return tab
    return None


def read_tabs(model_dir: Path) -> dict[str, int]:
    """Return title -> id of the tabs that helioloop made; a damaged file is a `RegistryError`."""
    path = model_dir / FILE_NAME
    try:
        values = json.loads(path.read_text())
        if not isinstance(values, Mapping):
            raise TypeError("it is not a table of ids")  # noqa: TRY301 - one message for all damage
        return {str(title): int(number) for title, number in values.items()}
    except FileNotFoundError:
        return {}
    except (ValueError, TypeError) as error:
        raise RegistryError(f"{path} is not a list of tabs ({error}); delete it: it is written again") from None
