"""The audit order depends on content alone, and the audit sample is its verified prefix."""

from helioloop.evaluation.audit_order import audit_order, sampled_prefix
from helioloop.records.cubes import CubeInfo


def cubes(n: int) -> list[CubeInfo]:
    return [CubeInfo(release="r", name=f"c{k:03d}", sha256=f"{k:064x}") for k in range(n)]


def test_the_audit_order_is_fixed_by_content() -> None:
    """It depends on neither the order given nor the other cubes, and differs from the order of names."""
    order = audit_order(cubes(50))
    assert sorted(order) == [cube.name for cube in cubes(50)]
    assert order != sorted(order)
    assert audit_order(reversed(cubes(50))) == order
    assert audit_order(cubes(20)) == [cube for cube in order if cube < "c020"]


def test_the_audit_order_never_changes() -> None:
    """Projects that exist keep their order: these names were computed when the rule was made."""
    assert audit_order(cubes(5)) == ["c000", "c003", "c001", "c002", "c004"]


def test_the_audit_sample_ends_at_the_first_unverified_cube() -> None:
    """Cube d is verified, but c before it is not."""
    assert sampled_prefix("abcd", {"a", "b", "d"}) == {"a", "b"}
    assert sampled_prefix("abcd", {"b"}) == set()


def test_a_skipped_cube_does_not_end_the_audit_sample() -> None:
    assert sampled_prefix("abcd", {"a", "c"}, skipped={"b"}) == {"a", "c"}
    assert sampled_prefix("abcd", {"a", "b", "c"}, skipped={"b"}) == {"a", "c"}
