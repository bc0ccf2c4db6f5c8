"""The tables of docs/science.md, from made-up figures: both generators, missing data seeds, verdicts, kinds."""

import math

import pytest

from helioloop.synthetic import Generator
from tests.benchmarks import campaign_section, kinds_section, sections
from tests.benchmarks.bench import Figures
from tests.benchmarks.bounds import BOUNDS, Bound, against_bounds, verdict
from tests.benchmarks.measured import Measured
from tests.benchmarks.parts import PARTS
from tests.benchmarks.tables import side_by_side, with_missing

OWN, OTHER = Generator.ELEMENTS, Generator.FLUX_TRANSPORT
SEEDS = (11, 12, 13)


def measured(own: dict[int, Figures], other: dict[int, Figures]) -> Measured:
    """A part on three data seeds."""
    return Measured(seeds=SEEDS, figures={OWN: own, OTHER: other})


NONE = measured({}, {})


def rows(text: str) -> dict[str, list[str]]:
    """The cells of a table by their first one."""
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("|")]
    assert len({len(cells) for cells in lines}) == 1
    return {cells[0]: cells[1:] for cells in lines}


def test_each_generator_has_its_mean_and_its_values() -> None:
    """A data seed that is not measured leaves its place, and a sentence names it."""
    figures = measured({11: {"a": 0.5}, 12: {"a": 0.7}, 13: {"a": 0.6}}, {12: {"a": 0.25}})
    text = with_missing(side_by_side(figures, {"figure a": ("a", "%")}), figures)
    assert text.splitlines()[0] == "| figure | elements | each | flux transport | each |"
    assert rows(text)["figure a"] == [
        "60 % ± 10 %", "50 % · 70 % · 60 %",
        "25 % (1 of 3)", "- · 25 % · -",
    ]  # fmt: skip
    assert text.endswith("\n\nNot measured: flux transport, data seeds 11, 13.")


def test_counts_and_intervals_are_written_out() -> None:
    """The mean is of the fractions; a fraction of none is undefined."""
    figures = measured(
        {
            11: {"found": {"count": 1, "of": 2, "share": 0.5}, "left": {"value": 4.0, "lo": 2.0, "hi": 9.0}},
            12: {"found": {"count": 9, "of": 10, "share": 0.9}, "left": None},
            13: {"found": {"count": 0, "of": 0, "share": None}, "left": None},
        },
        {},
    )
    text = side_by_side(figures, {"found": ("found", "of"), "left": ("left", "interval")})
    assert rows(text)["found"] == ["70.0 % ± 28.3 % (2 of 3)", "1 of 2 · 9 of 10 · -", "-", "-"]
    assert rows(text)["left"] == ["4 (1 of 3)", "4 (2–9) · - · -", "-", "-"]


def bound_on(part: str, path: str) -> Bound:
    """The bound on a figure."""
    return next(bound for bound in BOUNDS if (bound.part, bound.path) == (part, path))


@pytest.mark.parametrize(
    ("part", "path", "values", "own", "other"),
    [
        ("first", "error_auroc", [0.94, 0.97, 0.96], "**no**", "yes"),  # .965 and .95, mean .957
        ("first", "error_auroc", [0.98, 0.98, 0.99], "aim", "aim"),
        ("first", "error_auroc", [0.98, None, 0.99], "**no**", "**no**"),
        ("first", "no_frame.share", [0.04, 0.04, 0.04], "yes", "yes"),
        ("campaign", "to_1_5_percent", [0.30, 0.28, 0.32], "**no**", "yes"),
        ("campaign", "frame_error_frames", [9.0, 9.0, 9.0], "**no**", ""),  # no bound on the other generator
        ("campaign", "frame_error_frames", [2.0, 2.0, None], "**no**", ""),
        ("campaign", "frame_error_frames", [2.0, 2.0, 1.0], "aim", "aim"),
        ("triage", "accepted", [0.95, 0.95, 0.45], "**no**", "**no**"),  # one release is under a half
        ("triage", "accepted", [0.70, 0.71, 0.72], "yes", "yes"),
        ("first", "times.seconds", [250.0, None, 260.0], "yes", "yes"),  # an interrupted round has no duration
        ("first", "times.seconds", [None, None, None], "not measured", "not measured"),
    ],
)
def test_the_verdict_is_on_the_mean(part: str, path: str, values: list[float | None], own: str, other: str) -> None:
    """By each generator's own bound; an undefined figure fails."""
    names = path.split(".")
    bound = bound_on(part, names[0] if names[-1] == "share" else path)
    there = [{names[0]: value if len(names) == 1 else {names[1]: value}} for value in values]
    assert verdict(there, bound, OWN) == own
    assert verdict(there, bound, OTHER) == other


def test_bounds_are_compared_on_both_generators() -> None:
    """A verdict on some of the data seeds says on how many; without any the figure is not measured."""
    stored = dict.fromkeys(PARTS, NONE)
    stored["first"] = measured({11: {"error_auroc": 0.99}, 12: {"error_auroc": 0.97}}, {13: {"error_auroc": 0.9}})
    video = {"p_emergence": 0.9, "frame": 94, "frame_lo": 84, "frame_hi": 109}
    stored["real"] = measured(dict.fromkeys(SEEDS, video), {seed: {**video, "frame_hi": 110} for seed in SEEDS})
    text = against_bounds(stored)
    found = rows(text)
    assert found["wrong labels found in the first round, AUROC"] == [
        "≥ 0.965 · ≥ 0.950", "≥ 0.980",
        "0.980 ± 0.014, aim on 2 of 3 data seeds", "0.990 · 0.970 · -",
        "0.900, **no** on 1 of 3 data seeds", "- · - · 0.900",
    ]  # fmt: skip
    assert found["verified until 3 % of the labels are wrong"] == [
        "≤ 22 % · ≤ 25 %", "≤ 20 %", "not measured", "-", "not measured", "-",
    ]  # fmt: skip
    video_row = found["the real video, by networks trained on synthetic cubes"]
    assert video_row[2:4] == ["p 0.900 ± 0.000, yes", "94 (84–109) · 94 (84–109) · 94 (84–109)"]
    assert video_row[4] == "p 0.900 ± 0.000, **no**"  # an interval of 26 frames
    assert not any(math.isinf(bound.aim[0]) and math.isinf(bound.aim[1]) for bound in BOUNDS)


def test_rounds_of_campaigns_of_different_length_share_rows() -> None:
    """The closing round is the last one, and what no campaign has gets no row."""

    def one(number: int, left: float | None) -> Figures:
        return {
            "round": number, "verifications": 0 if number == 9 else 60, "verified_fraction": 0.1, "hit_rate": 0.5,
            "wrong_left": left, "wrong_left_lo": 1.0, "wrong_left_hi": 7.0, "true_wrong_left": 3,
            "true_wrong_fraction": 0.05, "auroc": 0.9, "error_auroc": 0.8, "frame_error_frames": 2.0,
        }  # fmt: skip

    campaigns = measured({11: {"rounds": [one(1, None), one(2, 4.0), one(9, None)]}}, {12: {"rounds": [one(1, None)]}})
    text = campaign_section.section(campaigns).split("Round by round:")[1]
    found = rows(text)
    assert found["hit rate, round 2"] == ["50 % (1 of 3)", "50 % · - · -", "-", "-"]
    assert found["hit rate, round 1"][3] == "- · 50 % · -"
    assert found["wrong labels left, estimated (90 % interval), round 2"][1] == "4 (1–7) · - · -"
    assert "wrong labels left, estimated (90 % interval), round 1" not in found
    assert list(found)[-1] == "emergence frame, median error, closing round"


def kind(name: str, **counts: int) -> Figures:
    """The counts of a kind; those not given are 0."""
    zero = dict.fromkeys(
        ("cubes", "wrong_labels", "wrong_classes", "wrong_seen", "frames", "frames_near", "authors_near", "no_frame",
         "non_emergences", "frame_given"), 0
    )  # fmt: skip
    return {"kind": name, **zero, **counts}


def test_kinds_show_both_generators_and_which_non_emergences_get_a_frame() -> None:
    """Summed over data seeds; a generator without a kind has "-", and the authors' estimate is beside ours."""
    growing = kind("growing", cubes=5, wrong_classes=2, non_emergences=5, frame_given=3)
    emerging = kind(
        "emerging", cubes=9, wrong_labels=4, wrong_seen=3, frames=9, frames_near=8, authors_near=6, no_frame=1
    )
    both = kind("both", cubes=9, wrong_classes=4, non_emergences=1, frame_given=1)
    stored = dict.fromkeys(PARTS, NONE)
    stored["first"] = measured(
        {11: {"kinds": [growing, emerging, both]}, 12: {"kinds": [growing]}}, {11: {"kinds": [emerging]}}
    )
    text = kinds_section.section(stored)

    def of(title: str) -> dict[str, list[str]]:
        return rows(text.split(f"\n\n{title}:\n\n")[1].split("\n\n")[0])

    assert list(of("Class wrong"))[2:] == ["both", "growing", "emerging"]  # below heads and line
    assert of("Class wrong")["growing"] == ["4 of 10", "-", "-", "-"]
    assert of("Wrong labels contradicted")["emerging"] == ["3 of 4", "-", "3 of 4", "-"]
    assert of("Emergence frame within 15, after the first round")["emerging"] == ["8 of 9", "6 of 9"] * 2
    assert of("Non-emergences: frame given")["growing"] == ["6 of 10", "-", "-", "-"]
    assert "emerging" not in of("Non-emergences: frame given")
    assert "- elements: growing (a frame 6, class wrong 4, of 10); both (a frame 1, of 1)\n" in text
    assert "- flux transport: none\n" in text + "\n"
    assert "Not measured in the first round: elements, data seed 13; flux transport, data seeds 12, 13." in text


def test_the_reference_has_its_range_on_the_first_generator_only() -> None:
    """Flux transport may be harder or easier."""
    ours, outside = ({seed: {"forest": {"error_auroc": value}} for seed in SEEDS} for value in (0.83, 0.6))
    assert "**Warning" not in sections.reference(measured(ours, outside))
    assert "**Warning" in sections.reference(measured(outside, ours))
