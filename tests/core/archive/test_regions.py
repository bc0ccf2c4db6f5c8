import os
from pathlib import Path

import numpy as np
import pytest
from astropy import units
from astropy.table import MaskedColumn, Table
from astropy.time import Time

from helioloop.archive.regions import Region, read_regions
from helioloop.errors import ReleaseError

HEAD = "region,carrington_lon,carrington_lat"


def written(folder: Path, text: str, name: str = "regions.csv") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def test_names_keep_their_zeros_and_longitudes_are_wrapped(tmp_path: Path) -> None:
    """007 stays text; −10° is 350°; an empty first_seen is unknown."""
    path = written(tmp_path, f"{HEAD},first_seen\n007,-10,5.5,\nAR 8800,370,-5,1999-12-06T04:48:00\n")
    assert read_regions(path) == (
        Region(name="007", lon_deg=350.0, lat_deg=5.5),
        Region(name="AR 8800", lon_deg=10.0, lat_deg=-5.0, first_seen_tai="1999-12-06T04:48:32.000"),
    )


@pytest.mark.parametrize(
    ("text", "tai"),
    [
        ("2011-02-12", "2011-02-12T00:00:34.000"),
        ("2011.02.12_07:36:00_TAI", "2011-02-12T07:36:00.000"),
        ("2011-02-12T07:36:00Z", "2011-02-12T07:36:34.000"),
    ],
)
def test_first_seen_is_read_in_several_spellings(tmp_path: Path, text: str, tai: str) -> None:
    (region,) = read_regions(written(tmp_path, f"{HEAD},first_seen\nA,1,2,{text}\n"))
    assert region.first_seen_tai == tai


@pytest.mark.parametrize("ending", [".ecsv", ".vot"])
def test_astropy_tables_are_read_with_their_units(tmp_path: Path, ending: str) -> None:
    table = Table({"region": ["A"], "carrington_lon": [0.5], "carrington_lat": [0.25], "note": ["mine"]})
    table["carrington_lon"].unit = table["carrington_lat"].unit = units.rad
    table.write(tmp_path / f"r{ending}", format="ascii.ecsv" if ending == ".ecsv" else "votable")
    (region,) = read_regions(tmp_path / f"r{ending}")
    assert (region.name, region.first_seen_tai) == ("A", None)
    assert (region.lon_deg, region.lat_deg) == pytest.approx((28.648, 14.324), abs=1e-3)


VOTABLE = """<VOTABLE version="1.3" xmlns="http://www.ivoa.net/xml/VOTable/v1.3"><RESOURCE><TABLE>
<FIELD name="region" ID="col1" datatype="char" arraysize="*"/>
<FIELD name="Carrington Lon" ID="col2" datatype="double" unit="UNIT"/>
<FIELD name="carrington-lat" ID="col3" datatype="double" unit="UNIT"/>
<DATA><TABLEDATA><TR><TD>9393</TD><TD>152.5</TD><TD>-17</TD></TR></TABLEDATA></DATA></TABLE></RESOURCE></VOTABLE>"""
"""As other tools than astropy write it: columns have an ID beside their name."""


@pytest.mark.parametrize("unit", ["deg", "degree", "degrees", "Degrees", "DEG", "Deg.", "°", ""])
def test_a_votable_is_read_by_the_names_of_its_columns_however_degrees_are_spelt(tmp_path: Path, unit: str) -> None:
    (region,) = read_regions(written(tmp_path, VOTABLE.replace("UNIT", unit), "regions.vot"))
    assert (region.name, region.lon_deg, region.lat_deg) == ("9393", 152.5, -17.0)


@pytest.mark.parametrize("unit", ["m", "solar radii"])
def test_a_unit_that_is_no_angle_is_named(tmp_path: Path, unit: str) -> None:
    """The value was said to be outside of its range, which it is not."""
    with pytest.raises(ReleaseError, match=f"row 1: the unit of carrington_lon is '{unit}'; it must be one of angle"):
        read_regions(written(tmp_path, VOTABLE.replace("UNIT", unit), "regions.vot"))


def test_columns_of_an_ecsv_may_be_named_as_those_of_a_csv(tmp_path: Path) -> None:
    table = Table({"Region": ["A"], "Carrington Lon": [1.0], "carrington-lat": [2.0], "First Seen": ["2011-02-12"]})
    table.write(tmp_path / "r.ecsv")
    (region,) = read_regions(tmp_path / "r.ecsv")
    assert (region.name, region.lon_deg, region.lat_deg) == ("A", 1.0, 2.0)
    assert region.first_seen_tai == "2011-02-12T00:00:34.000"


def test_an_astropy_time_column_keeps_its_scale(tmp_path: Path) -> None:
    table = Table({"region": ["A"], "carrington_lon": [1.0], "carrington_lat": [2.0]})
    table["first_seen"] = Time(["2011-02-12T07:36:00"], scale="tai")
    table.write(tmp_path / "r.ecsv")
    (region,) = read_regions(tmp_path / "r.ecsv")
    assert region.first_seen_tai == "2011-02-12T07:36:00.000"


def test_a_table_that_a_spreadsheet_saved_is_read(tmp_path: Path) -> None:
    """Semicolons, decimal commas, a line sep=; and columns in other case; leading zeros of names stay."""
    path = written(
        tmp_path, "sep=;\nRegion;Carrington Lon;Carrington Lat;First seen\n0310;12,5;-3,25;2011-02-12\n;;;\n"
    )
    (region,) = read_regions(path)
    assert (region.name, region.lon_deg, region.lat_deg) == ("0310", 12.5, -3.25)
    assert region.first_seen_tai is not None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("region,carrington_lon\nA,1\n", "has no column 'carrington_lat'.*add it"),
        (f"{HEAD}\n", "has no row"),
        (f"{HEAD}\nA,1,2\nB,1,95\n", "row 2: carrington_lat is 95; it must be a number of degrees from -75 to 75"),
        (f"{HEAD}\nA,east,2\n", "row 1: carrington_lon is east"),
        (f"{HEAD}\nA,nan,2\n", "row 1: carrington_lon is nan"),
        (f"{HEAD}\nA,,2\n", "row 1: carrington_lon is empty"),
        (f"{HEAD}\nA,1,2\nA,3,4\n", "row 2: region 'A' is there twice"),
        (f"{HEAD}\na/b,1,2\n", "row 1: region is 'a/b'; cubes are named after it.*without slashes"),
        (f"{HEAD}\n,1,2\n", "row 1: region is ''"),
        (f"{HEAD}\n{'x' * 192},1,2\n", "row 1: region is 'xxxx.*1 to 191 characters"),
        (f"{HEAD}\n{'ж' * 116},1,2\n", "row 1: region is 'жжжж.*at most 231 bytes of UTF-8"),
        (f"{HEAD},first_seen\nA,1,2,yesterday\n", "row 1: first_seen is 'yesterday'.*correct it"),
        (f"{HEAD},first_seen\nA,1,2,2011-02-31\n", "row 1: first_seen is '2011-02-31', a date that does not exist"),
    ],
)
def test_a_wrong_row_is_named_with_value_and_rule(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ReleaseError, match=f"regions.csv.*{said}"):
        read_regions(written(tmp_path, text))


def test_decimal_commas_between_commas_are_refused(tmp_path: Path) -> None:
    """149,9 and 15,5 were the longitude 149° and the latitude 9°, where the cube was cut."""
    with pytest.raises(ReleaseError, match=r"regions.csv, line 2: it has 5 cells and the header 3; .*decimal points"):
        read_regions(written(tmp_path, f"{HEAD}\n8398,149,9,15,5\n"))
    (region,) = read_regions(written(tmp_path, f'{HEAD}\n8398,"149,9","15,5"\n'))
    assert (region.lon_deg, region.lat_deg) == (149.9, 15.5)


@pytest.mark.parametrize(
    "names",
    [
        ("NOAA9393", "AR 9393"),
        ("NOAA9393", "noaa 09393"),
        ("NOAA9393", "9393"),
        ("8398", "08398"),
        ("8398", '="08398"'),
        ("AR8398", "8398.0"),
        ("HARP 377", "harp0377"),
        ("Gr\u00f6sse", "Gro\u0308sse"),
    ],
)
def test_a_region_in_two_spellings_is_there_twice(tmp_path: Path, names: tuple[str, str]) -> None:
    """Each gave a cube of the same video."""
    path = written(tmp_path, f"{HEAD}\n{names[0]},1,2\n{names[1]},200,3\n")
    with pytest.raises(ReleaseError, match=f"row 2: region .* is there twice, in another row as '{names[0]}'"):
        read_regions(path)


def test_regions_of_one_place_and_time_are_said(tmp_path: Path) -> None:
    """As a HARP and its NOAA region in one table, or rows whose coordinates are missing and were written as 0."""
    doubts: list[str] = []
    rows = "HARP 377,35,-20,2011-02-12\nNOAA 11158,35,-20,2011-02-12\nA,0,0,\nB,0,0,\nC,35,-20,2011-03-11\nD,36,-20,\n"
    assert len(read_regions(written(tmp_path, f"{HEAD},first_seen\n{rows}"), on_doubt=doubts.append)) == 6
    (doubt,) = doubts
    assert "row 2: region 'NOAA 11158' has the place and time of 'HARP 377' (and 1 more row), so their cubes" in doubt


def test_one_number_of_several_catalogues_is_several_regions(tmp_path: Path) -> None:
    path = written(tmp_path, f"{HEAD}\nNOAA 377,1,2\nHARP 377,200,3\nTARP 377,250,3\n")
    assert len(read_regions(path)) == 3


@pytest.mark.parametrize(
    ("cell", "name"),
    [
        ("8398", "8398"),
        ("8398.0", "8398"),  # pandas, where another row lacks the number
        ('="0398"', "0398"),  # Excel, for text
        ('"=""0398"""', "0398"),
        ("'0398", "0398"),
        ("AR 8398", "AR 8398"),
        ("377_1", "377_1"),
        ("Nan Hai", "Nan Hai"),
    ],
)
def test_a_name_is_that_which_its_cell_shows(tmp_path: Path, cell: str, name: str) -> None:
    (region,) = read_regions(written(tmp_path, f"{HEAD}\n{cell},1,2\n"))
    assert region.name == name


@pytest.mark.parametrize(
    "cell",
    ["", '""', "0", "00000", "0.0", "-1", "-1.0", "nan", "NaN", "None", "NA", "<NA>", "N/A", "null", "--", "inf",
     "-2147483648", "NOAA nan", "AR None"],
)  # fmt: skip
def test_a_row_that_names_no_region_is_refused(tmp_path: Path, cell: str) -> None:
    """pandas and JSOC write these where a patch has no NOAA region; cubes were named after them."""
    path = written(tmp_path, f"{HEAD}\n8398,1,2\n{cell},200,3\n")
    with pytest.raises(ReleaseError, match=r"row 2: region is '.*', which names no region.*: give the region a name"):
        read_regions(path)


@pytest.mark.parametrize("ending", [".ecsv", ".vot"])
def test_the_numbers_of_an_astropy_table_name_regions_as_those_of_a_csv(tmp_path: Path, ending: str) -> None:
    """Real numbers are whole ones, and NaN, 0 and a masked cell name none."""
    kind = "ascii.ecsv" if ending == ".ecsv" else "votable"
    path = tmp_path / f"r{ending}"
    for column, number in [
        (MaskedColumn([8398.0, np.nan], mask=[False, False]), "(nan)?"),  # VOTable masks NaN
        (MaskedColumn([8398, 0], mask=[False, False]), "0"),
        (MaskedColumn([8398, 8399], mask=[False, True]), ""),
        (MaskedColumn(["8398", "x"], mask=[False, True]), ""),
    ]:
        table = Table({"region": column, "carrington_lon": [1.0, 2.0], "carrington_lat": [3.0, 4.0]})
        table.write(path, format=kind, overwrite=True)
        with pytest.raises(ReleaseError, match=f"row 2: region is '{number}', which names no region"):
            read_regions(path)
        table[:1].write(path, format=kind, overwrite=True)
        assert [region.name for region in read_regions(path)] == ["8398"]


@pytest.mark.parametrize("text", ["NA", "1970-01-01", "1858-11-17T00:00:00", "-4712.01.01_11:59:28_TAI", "NaT"])
def test_the_code_of_a_missing_time_is_read_as_none_and_said(tmp_path: Path, text: str) -> None:
    doubts: list[str] = []
    path = written(tmp_path, f"{HEAD},first_seen\nA,1,2,\nB,3,4,{text}\nC,5,6,{text}\nD,1,2,2001-03-24\n")
    found = read_regions(path, on_doubt=doubts.append)
    assert [region.first_seen_tai is None for region in found] == [True, True, True, False]
    (doubt,) = doubts
    assert f"row 2: first_seen is '{text}' (and 1 more row), which stands for a missing time" in doubt


@pytest.mark.parametrize("text", ["12/06/98 01:36", "12/06/98", "25/12/98", "06/25/98", "06/12/11"])
def test_a_date_whose_first_number_is_day_or_month_is_refused(tmp_path: Path, text: str) -> None:
    """12/06/98 was read as 12 June, as in FITS; a spreadsheet may mean 6 December."""
    with pytest.raises(
        ReleaseError, match=f"row 1: first_seen is '{text}', which may be one.*: write it as YYYY-MM-DD"
    ):
        read_regions(written(tmp_path, f"{HEAD},first_seen\nA,1,2,{text}\n"))


@pytest.mark.parametrize("text", ["98/12/06 01:36", "06-Dec-98 01:36", "6 Dec 1998 01:36", "19981206 0136"])
def test_a_date_that_can_be_one_day_only_is_read(tmp_path: Path, text: str) -> None:
    (region,) = read_regions(written(tmp_path, f"{HEAD},first_seen\nA,1,2,{text}\n"))
    assert region.first_seen_tai == "1998-12-06T01:36:31.000"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("1998-12-06 01:36:00 PM", "the hours of a day are 0 to 23, without AM and PM: correct it"),
        ("1998-12-06T01:36 am", "the hours of a day are 0 to 23"),
        ("1998-12-06T01:36 CET", "whose time scale is 'CET'; it must be one of .*utc, or an offset from UTC such as"),
        ("1998-12-06 01:36 EST", "whose time scale is 'EST'"),
    ],
)
def test_halves_of_a_day_and_time_zones_are_refused_with_the_cell(tmp_path: Path, text: str, said: str) -> None:
    """The sentence named TIMESYS, a card of FITS."""
    with pytest.raises(ReleaseError, match=rf"row 1: first_seen is '{text}'.*{said}") as refused:
        read_regions(written(tmp_path, f"{HEAD},first_seen\nA,1,2,{text}\n"))
    assert "TIMESYS" not in str(refused.value)


@pytest.mark.parametrize("text", ["\u221217", "-17\u00b0", "17S", "S17", "s 17", "-17.0", '"-17,0"'])
def test_a_southern_latitude_is_read_in_several_spellings(tmp_path: Path, text: str) -> None:
    (region,) = read_regions(written(tmp_path, f"{HEAD}\nA,152\u00b0,{text}\n"))
    assert (region.lon_deg, region.lat_deg) == (152.0, -17.0)


@pytest.mark.parametrize("cells", ["152,S-17", "152,17E", "152S,17", "N,17", "152,17SS", "152,SN17", "152,N17S"])
def test_other_letters_are_refused(tmp_path: Path, cells: str) -> None:
    with pytest.raises(ReleaseError, match="row 1: carrington_l"):
        read_regions(written(tmp_path, f"{HEAD}\nA,{cells}\n"))


@pytest.mark.parametrize("cell", ["1_52", "1\u00b030", "152\u00b030'", "152'", "0x98", "1,5,2", "1.234,5", "--"])
def test_text_that_only_contains_a_number_is_refused(tmp_path: Path, cell: str) -> None:
    """1_52 was 152, as Python reads it, and 1\u00b030 was 130."""
    with pytest.raises(ReleaseError, match="row 1: carrington_lon is"):
        read_regions(written(tmp_path, f'{HEAD}\nA,"{cell}",2\n'))


@pytest.mark.parametrize("cell", ["1.52e2", "+152", "152.", '"152,0"', '="152"', '"=""152"""', "'152", "152 \u00b0"])
def test_a_number_is_read_however_it_is_written(tmp_path: Path, cell: str) -> None:
    """Excel's apostrophe and ="…" keep a cell as text; times may have them, too."""
    (region,) = read_regions(written(tmp_path, f'{HEAD},first_seen\nA,{cell},2,="1998-12-06"\n'))
    assert (region.lon_deg, region.first_seen_tai) == (152.0, "1998-12-06T00:00:31.000")


@pytest.mark.parametrize("ending", [".ecsv", ".vot"])
def test_a_masked_coordinate_is_empty(tmp_path: Path, ending: str) -> None:
    table = Table({"region": ["A"], "carrington_lon": MaskedColumn([1.0], mask=[True]), "carrington_lat": [2.0]})
    table.write(tmp_path / f"r{ending}", format="ascii.ecsv" if ending == ".ecsv" else "votable")
    with pytest.raises(ReleaseError, match="row 1: carrington_lon is empty"):
        read_regions(tmp_path / f"r{ending}")


def test_coordinates_that_look_like_radians_are_said(tmp_path: Path) -> None:
    """Two regions may lie there by chance; an ECSV table that names the unit is not doubtful."""
    doubts: list[str] = []
    rows = "A,2.65,0.29\nB,6.1,-0.3\n"
    read_regions(written(tmp_path, f"{HEAD}\n{rows}"), on_doubt=doubts.append)
    read_regions(written(tmp_path, f"{HEAD}\n{rows}C,152,17\n"), on_doubt=doubts.append)
    assert doubts == []
    read_regions(written(tmp_path, f"{HEAD}\n{rows}C,1.5,0.1\n"), on_doubt=doubts.append)
    assert "as in radians, and are read as degrees" in doubts[0]


def test_other_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ReleaseError, match=r"ends in '.txt'; a table of regions is .csv, .ecsv or .vot: save it"):
        read_regions(written(tmp_path, HEAD, "regions.txt"))
    with pytest.raises(ReleaseError, match="is missing"):
        read_regions(tmp_path / "absent.csv")
    with pytest.raises(ReleaseError, match="cannot be read as votable"):
        read_regions(written(tmp_path, HEAD, "regions.vot"))


@pytest.mark.parametrize("ending", ["csv", "ecsv", "vot"])
def test_a_pipe_is_not_waited_for(tmp_path: Path, ending: str) -> None:
    """Of the process that writes into it nothing may be left."""
    os.mkfifo(tmp_path / f"regions.{ending}")
    with pytest.raises(ReleaseError, match="is a pipe, a socket or a device, and only files are read"):
        read_regions(tmp_path / f"regions.{ending}")
