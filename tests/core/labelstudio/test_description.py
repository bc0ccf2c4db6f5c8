"""The block of helioloop in a project's description, and the team's own text around it."""

import pytest

from helioloop.labelstudio.description import with_block

OWN = "Labels for the second paper.\nAsk Mara first."


def test_a_new_block_comes_before_the_teams_text() -> None:
    """Label Studio's card shows only the beginning."""
    assert with_block(OWN, "v0001 of today") == f"[helioloop] v0001 of today [end of helioloop]\n\n{OWN}"
    assert with_block("", "v0001") == with_block("  \n", "v0001") == "[helioloop] v0001 [end of helioloop]"


def test_the_block_is_replaced_where_the_team_has_put_it() -> None:
    """Text before and behind it stays to the letter, and a repetition changes nothing."""
    first = f"Before.\n\n[helioloop] v0001\nold [end of helioloop]\n{OWN} "
    second = with_block(first, "v0002")
    assert second == f"Before.\n\n[helioloop] v0002 [end of helioloop]\n{OWN} "
    assert with_block(second, "v0002") == second


def test_copied_blocks_are_removed() -> None:
    """One block says what is so; an old copy would say something else."""
    text = "[helioloop] a [end of helioloop] own [helioloop] b [end of helioloop] more"
    assert with_block(text, "c") == "[helioloop] c [end of helioloop] own  more"


@pytest.mark.parametrize(
    "broken",
    ["[helioloop] the end is lost; our own text", "own text [end of helioloop]", "[end of helioloop] own [helioloop]"],
)
def test_a_damaged_block_never_takes_the_teams_text_with_it(broken: str) -> None:
    """Everything that was there is kept, also when the block is renewed later."""
    once = with_block(broken, "v0001")
    assert once == f"[helioloop] v0001 [end of helioloop]\n\n{broken}"
    assert with_block(once, "v0002") == f"[helioloop] v0002 [end of helioloop]\n\n{broken}"


def test_text_between_a_lone_start_and_a_block_is_kept() -> None:
    """The block is from the last start to its end."""
    text = "[helioloop] own text [helioloop] v0001 [end of helioloop]"
    assert with_block(text, "v0002") == "[helioloop] own text [helioloop] v0002 [end of helioloop]"


def test_markers_in_the_text_are_taken_out() -> None:
    """A reason that quotes them does not end the block early."""
    once = with_block(OWN, "a [end of helioloop] b")
    assert with_block(once, "c") == f"[helioloop] c [end of helioloop]\n\n{OWN}"
