"""The block that helioloop keeps up to date in a project's description; the team's own text around it is kept.

Label Studio shows the description as plain text, on the project's card only its first three lines (about 150
characters), without line breaks. A new block is therefore put first.
"""

import re
from typing import Final

START: Final = "[helioloop]"
END: Final = "[end of helioloop]"

_BLOCK: Final = re.compile(rf"{re.escape(START)}(?:(?!{re.escape(START)}).)*?{re.escape(END)}", re.DOTALL)
"""From a start to the next end, with no other start between: behind a lone start is the team's text."""


def with_block(description: str, text: str) -> str:
    """Return a description with the block replaced by `text`, or with a new block before the team's text.

    Parameters
    ----------
    description : str
        As Label Studio has it; anything outside of the block stays as it is. Of several blocks the first is replaced
        and the others, which somebody copied, are removed. A block without its end is the team's text.
    text : str
        What the block says; markers in it are taken out.
    """
    inner = text.replace(START, "").replace(END, "").strip()
    block = f"{START} {inner} {END}"
    found = _BLOCK.search(description)
    if found is None:
        return f"{block}\n\n{description}" if description.strip() else block
    return description[: found.start()] + block + _BLOCK.sub("", description[found.end() :])
