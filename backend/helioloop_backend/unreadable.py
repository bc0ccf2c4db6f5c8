"""Says which file the backend may not read, and what mends that; answers do not show where the model root is."""

import os
import re
from pathlib import Path
from typing import Final

from helioloop.files.path_errors import remedy_of

MODEL_ROOT: Final = "HELIOLOOP_MODEL_ROOT"
NO_FOLDER: Final = f"the folder {MODEL_ROOT} cannot be read; mount it or correct its rights"
_PATH: Final = re.compile(r"(?<!\S)/")


def unreadable(error: BaseException | None) -> str | None:
    """Return file, cause and remedy of a file or folder that cannot be read, for the log; None of another error.

    Parameters
    ----------
    error : BaseException or None
        Also one that was raised from such an error.
    """
    found = error if isinstance(error, OSError) else getattr(error, "__cause__", None)
    if not isinstance(found, OSError):
        return None
    remedy = remedy_of(found)
    if not isinstance(found.filename, str | bytes):
        return None if remedy is None else f"a file cannot be read ({found.strerror}); {remedy}"
    path = os.fsdecode(found.filename)
    return f"{path} cannot be read ({found.strerror}); {remedy or 'check its file system'}"


def without_paths(sentence: str, model_root: Path) -> str:
    """Return a sentence of `unreadable` for an answer: the model root has the name of its setting.

    Where the sentence names a folder outside of the model root, it says only that the model root cannot be read.
    """
    for root in (model_root.absolute(), model_root):
        sentence = re.sub(rf"(?<!\S){re.escape(str(root))}(?=[/\s,;]|$)", MODEL_ROOT, sentence)
    return NO_FOLDER if _PATH.search(sentence) else sentence
