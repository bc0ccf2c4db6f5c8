"""The catalogue as ECSV, VOTable and FITS, read back by astropy."""

import csv
import json
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits, votable
from astropy.io.votable.ucd import parse_ucd
from astropy.table import QTable, Table
from astropy.time import Time
from lxml import etree
from tests.worker.conftest import CUBES, LoopProject, crude, emerges

from helioloop.data.cubes import write_cube
from helioloop.data.frame_times import frame_time
from helioloop.data.positions import CarringtonPosition, read_position
from helioloop.errors import CubeError, WrongUsage
from helioloop.progress import silent
from helioloop.records.instrument import MDI
from helioloop_worker.reports.catalogue import Catalogue, make_catalogue
from helioloop_worker.reports.catalogue_columns import CATALOGUE_COLUMNS
from helioloop_worker.reports.catalogue_endings import check_ending
from helioloop_worker.reports.catalogue_files import write_catalogue_file
from helioloop_worker.reports.catalogue_table import COLUMNS, POSITION_COLUMNS
from helioloop_worker.reports.provenance import REFERENCE, provenance

Data = dict[str, dict[str, str]]
TIMES = ("emergence_time_utc", "emergence_time_tai")
LEAP = frame_time("2016-12-31T22:23:60", 1, cadence_seconds=5760.0)
"""Starts within the leap second 2016-12-31T23:59:60."""


@pytest.fixture
def full(loop_project: LoopProject, task_data: Data) -> Catalogue:
    """A catalogue with verified frames, a cube in a leap second, one with a position, and one without a score."""
    tasks = loop_project.import_cubes(task_data)
    loop_project.publish(p_emergence=0.75, without=["cube05"])
    for cube in CUBES:
        loop_project.label_studio.annotate(
            tasks[cube], crude(cube).value, start=15 if emerges(cube) and cube != "cube23" else None
        )
    runtime = loop_project.context.runtime(loop_project.id, silent, on_excluded=None)
    catalogue = make_catalogue(
        loop_project.read(),
        loop_project.registry,
        runtime,
        roots=loop_project.context.roots,
        coverage=0.9,
        with_positions=True,
    )
    entries = list(catalogue.entries)
    entries[1] = replace(entries[1], time=LEAP, position=CarringtonPosition(lon_deg=81.25, lat_deg=-10.5))
    return replace(catalogue, entries=tuple(entries))


def read_timed(path: Path) -> QTable:
    """Read a catalogue with its times; VOTable is the one format whose times astropy leaves as text."""
    if path.suffix == ".ecsv":
        return QTable.read(path, format="ascii.ecsv")
    if path.suffix == ".fits":
        return QTable.read(path, hdu="CATALOGUE", astropy_native=True)
    document = votable.parse(path, verify="exception")
    table = document.get_first_table()
    read = QTable(table.to_table())
    for name in read.colnames:
        if read[name].dtype.kind == "U":  # an unknown text is an empty one in a VOTable
            read[name].mask = np.asarray(read[name]) == ""
    for name in TIMES:
        scale = document.get_timesys_by_id(table.get_field_by_id(name).ref).timescale.lower()
        unknown = np.asarray(read[name]) == ""
        times = Time(np.where(unknown, "2000-01-01T00:00:00", read[name]), format="isot", scale=scale)
        times[unknown] = np.ma.masked
        read.replace_column(name, times)
    return read


def read_facts(path: Path, full: Catalogue) -> dict[str, Any]:
    """Read the provenance back, by name."""
    if path.suffix == ".ecsv":
        return dict(Table.read(path, format="ascii.ecsv").meta)
    if path.suffix == ".fits":
        header = fits.getheader(path, "CATALOGUE")
        return {fact.name: header[fact.keyword] for fact in provenance(full)}
    table = votable.parse(path).get_first_table()
    return {fact.name: fact.value for fact in (*table.params, *table.infos)}


@pytest.mark.parametrize("ending", [".ecsv", ".vot", ".xml", ".fits"])
def test_astropy_reads_the_values_of_the_csv_back(full: Catalogue, tmp_path: Path, ending: str) -> None:
    """Every cell of the CSV, masked where the CSV is empty; numbers to the CSV's six decimals."""
    path = tmp_path / f"catalogue{ending}"
    write_catalogue_file(path, full)
    write_catalogue_file(tmp_path / "catalogue.csv", full)
    read = read_timed(path)
    assert read.colnames == [*COLUMNS, *POSITION_COLUMNS]
    with (tmp_path / "catalogue.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(read) == len(rows) == len(CUBES)
    for name, row in ((name, row) for row in rows for name in COLUMNS):
        value = read[name][int(row["cube"].removeprefix("cube"))]
        if row[name] == "":
            assert np.all(np.ma.getmaskarray(value) if name not in TIMES else value.mask), (name, row["cube"], value)
        elif name in TIMES:
            assert str(value.isot).removesuffix(".000") == row[name]
        elif CATALOGUE_COLUMNS[name].kind is float:
            assert value == pytest.approx(float(row[name]), abs=5e-7)
        else:
            assert str(value) == row[name]


@pytest.mark.parametrize("ending", [".ecsv", ".vot", ".fits"])
def test_times_have_their_scale_and_hold_a_leap_second(full: Catalogue, tmp_path: Path, ending: str) -> None:
    """The leap second is one instant in both columns, a second before the next day."""
    path = tmp_path / f"catalogue{ending}"
    write_catalogue_file(path, full)
    utc, tai = (read_timed(path)[name] for name in TIMES)
    assert (utc.scale, tai.scale) == ("utc", "tai")
    assert str(utc[1].isot).removesuffix(".000") == "2016-12-31T23:59:60"
    assert np.max(np.abs(np.asarray((utc - tai)[~utc.mask].sec))) < 1e-3
    assert float((Time("2017-01-01", scale="utc") - utc[1]).sec) == pytest.approx(1.0)
    assert list(utc.mask) == [emergence.time is None for emergence in full.entries]


@pytest.mark.parametrize("ending", [".ecsv", ".vot", ".fits"])
def test_positions_have_degrees(full: Catalogue, tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"catalogue{ending}"
    write_catalogue_file(path, full)
    read = read_timed(path)
    for name, degrees in zip(POSITION_COLUMNS, (81.25, -10.5), strict=True):
        assert read[name].unit == "deg"
        assert read[name][1].value == degrees
        assert np.all(read[name].mask == [k != 1 for k in range(len(CUBES))])


@pytest.mark.parametrize("ending", [".ecsv", ".vot", ".fits"])
def test_every_column_has_a_description_and_a_ucd(full: Catalogue, tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"catalogue{ending}"
    write_catalogue_file(path, full)
    if ending == ".ecsv":
        read = Table.read(path, format="ascii.ecsv")
        found = {name: (read[name].info.description, read[name].info.meta["ucd"]) for name in read.colnames}
    elif ending == ".vot":
        fields = votable.parse(path).get_first_table().fields
        found = {field.name: (" ".join(field.description.split()), field.ucd) for field in fields}
    else:
        header = fits.getheader(path, "CATALOGUE")
        numbers = range(1, header["TFIELDS"] + 1)
        found = {header[f"TTYPE{n}"]: (header[f"TCOMM{n}"], header[f"TUCD{n}"]) for n in numbers}
    assert found == {name: (column.description, column.ucd) for name, column in CATALOGUE_COLUMNS.items()}


@pytest.mark.parametrize("name", CATALOGUE_COLUMNS)
def test_ucds_are_words_of_the_vocabulary(name: str) -> None:
    assert parse_ucd(CATALOGUE_COLUMNS[name].ucd, check_controlled_vocabulary=True)


@pytest.mark.parametrize("ending", [".ecsv", ".vot", ".fits"])
def test_the_provenance_names_project_version_card_and_calibrations(
    full: Catalogue, tmp_path: Path, ending: str
) -> None:
    path = tmp_path / f"catalogue{ending}"
    write_catalogue_file(path, full)
    facts = read_facts(path, full)
    assert (facts["reference"], facts["project"], facts["project_title"]) == (REFERENCE, 1, "loop project")
    assert (facts["model_version"], facts["model_recipe"], facts["model_network"]) == ("v0001", "quick", "per-frame")
    assert (facts["model_labels"], facts["model_labels_verified"], facts["cubes_verified"]) == (24, 0, 24)
    assert facts["model_fingerprint"] == full.card.fingerprint
    assert json.loads(facts["model_recipe_settings"]) == json.loads(json.dumps(full.card.recipe))
    assert (facts["releases"], facts["cubes"], facts["cubes_scored"]) == ("made", 24, 23)
    assert (facts["instrument"], facts["cadence_seconds"], facts["grid_frames"]) == ("small", 5760.0, 24)
    assert (facts["intervals"], facts["interval_coverage"]) == ("calibrated", pytest.approx(0.9))
    assert facts["interval_frames"] == full.calibration.intervals.n_frames
    assert (facts["probabilities"], facts["audit_sample"]) == ("uncalibrated", len(full.sample.cubes))
    assert Time(facts["created_at"]) <= Time.now()


def test_keywords_of_fits_are_short_and_differ(full: Catalogue) -> None:
    facts = provenance(full)
    assert len({fact.keyword for fact in facts}) == len({fact.name for fact in facts}) == len(facts)
    assert all(len(fact.keyword) <= 8 and fact.keyword.replace("_", "").isalnum() for fact in facts)


def test_the_fits_file_and_the_votable_follow_their_standards(full: Catalogue, tmp_path: Path) -> None:
    """Every warning of the strict readers is an error; FITS checksums are right."""
    write_catalogue_file(tmp_path / "catalogue.vot", full)
    write_catalogue_file(tmp_path / "catalogue.fits", full)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        document = votable.parse(tmp_path / "catalogue.vot", verify="exception")
        with fits.open(tmp_path / "catalogue.fits", checksum=True) as hdus:
            hdus.verify("exception")
            assert hdus["CATALOGUE"].header["TIMESYS"] == "UTC"
    assert float(document.version) >= 1.4
    assert votable.validate(tmp_path / "catalogue.vot", output=None)
    schema = etree.XMLSchema(etree.parse(Path(votable.__file__).parent / "data" / "VOTable.v1.4.xsd"))
    assert schema.validate(etree.parse(tmp_path / "catalogue.vot")), schema.error_log


@pytest.mark.parametrize("ending", [".csv", ".ecsv", ".vot", ".fits"])
def test_no_secret_and_no_folder_is_written(
    full: Catalogue, loop_project: LoopProject, tmp_path: Path, ending: str
) -> None:
    path = tmp_path / f"catalogue{ending}"
    write_catalogue_file(path, full)
    written = path.read_bytes().decode("utf-8", "replace")
    settings = loop_project.context.settings
    places = [settings.model_root, settings.media_root, settings.cache_root, *settings.release_roots]
    for secret in (settings.redis_url, settings.label_studio_url, str(tmp_path), *map(str, places)):
        assert secret not in written


@pytest.mark.parametrize("ending", [".ecsv", ".vot", ".fits"])
def test_a_catalogue_of_unknown_values_alone_is_masked(full: Catalogue, tmp_path: Path, ending: str) -> None:
    """No cube has a score, a frame or a time."""
    entries = [replace(entry, score=None, emergence=None, frame_source="", time=None) for entry in full.entries]
    path = tmp_path / f"catalogue{ending}"
    write_catalogue_file(path, replace(full, entries=tuple(entries)))
    read = read_timed(path)
    for name in ("p_emergence", "emergence_frame", "emergence_frame_lo", *TIMES):
        assert np.all(read[name].mask), name
    assert read["emergence_time_tai"].scale == "tai"


@pytest.mark.parametrize("ending", [".ecsv", ".vot", ".fits"])
def test_an_empty_project_gives_an_empty_table(full: Catalogue, tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"catalogue{ending}"
    write_catalogue_file(path, replace(full, entries=()))
    assert len(read_timed(path)) == 0


@pytest.mark.parametrize("ending", [".ecsv", ".vot"])
def test_text_beyond_ascii_and_characters_that_xml_forbids_are_written(
    full: Catalogue, tmp_path: Path, ending: str
) -> None:
    """A task's data may contain anything; a title is a human's line."""
    path = tmp_path / f"catalogue{ending}"
    write_catalogue_file(path, odd(full, region="Región <1> & \x00", title='É "quoted",\nline'))
    assert read_timed(path)["region"][0] == "Región <1> & ?"
    assert read_facts(path, full)["project_title"] == 'É "quoted", line'


def test_fits_refuses_text_beyond_ascii_in_a_row_and_names_the_remedy(full: Catalogue, tmp_path: Path) -> None:
    """A title is written with escapes, because a header is for humans."""
    with pytest.raises(WrongUsage, match=r"the region 'Región' has other characters.*\.ecsv or \.vot"):
        write_catalogue_file(tmp_path / "catalogue.fits", odd(full, region="Región", title="É"))
    assert not (tmp_path / "catalogue.fits").exists()
    write_catalogue_file(tmp_path / "catalogue.fits", odd(full, region="R", title="É"))
    assert fits.getheader(tmp_path / "catalogue.fits", "CATALOGUE")["PROJNAME"] == "\\xc9"


@pytest.mark.parametrize("name", ["catalogue", "catalogue.txt", "catalogue.fits.gz", "catalogue.json"])
def test_another_ending_is_refused_in_one_sentence(name: str) -> None:
    with pytest.raises(WrongUsage, match=r"a catalogue ends in \.csv, \.ecsv, \.vot, \.votable, \.xml, \.fits"):
        check_ending(Path(name))


def test_endings_may_be_in_upper_case(full: Catalogue, tmp_path: Path) -> None:
    write_catalogue_file(tmp_path / "CATALOGUE.FITS", full)
    assert fits.getheader(tmp_path / "CATALOGUE.FITS", 1)["NCUBES"] == 24


def test_the_position_of_a_cube_is_read_from_its_header(tmp_path: Path) -> None:
    """The cards are those of `helioloop cutouts`; a cube without them has no position."""
    for name, cards in (
        ("with", {"REG_LON": 365.0, "REG_LAT": -12.5}),
        ("without", {}),
        ("odd", {"REG_LON": "east", "REG_LAT": 1}),
    ):
        frames, seconds = np.zeros((2, 9, 9)), np.array([0.0, 5760.0])
        write_cube(tmp_path / f"{name}.fits", frames, seconds, start=None, region=None, instrument=MDI, header=cards)
    assert read_position(tmp_path / "with.fits") == CarringtonPosition(lon_deg=5.0, lat_deg=-12.5)
    assert read_position(tmp_path / "without.fits") is None
    assert read_position(tmp_path / "odd.fits") is None
    with pytest.raises(CubeError, match=r"absent\.fits"):
        read_position(tmp_path / "absent.fits")


def odd(full: Catalogue, *, region: str, title: str) -> Catalogue:
    """Return a catalogue with another title, and another region of its first cube."""
    first = full.entries[0]
    cube = replace(first.task.cube, region=region)
    entries = (replace(first, task=replace(first.task, cube=cube)), *full.entries[1:])
    return replace(full, entries=entries, project=replace(full.project, title=title))
