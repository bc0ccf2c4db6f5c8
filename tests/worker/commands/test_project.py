"""The command ``helioloop catalogue``: the ending of --out chooses the format."""

from pathlib import Path

import pytest
from astropy.table import QTable
from tests.worker.conftest import LoopProject
from tests.worker.shell import read_table, run_one_of

from helioloop_worker import context
from helioloop_worker.commands.project import commands

Data = dict[str, dict[str, str]]


def test_catalogue_writes_the_format_of_the_ending(
    loop_project: LoopProject, task_data: Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ECSV and CSV have the same rows; the sample for triage is CSV."""
    loop_project.import_cubes(task_data)
    version = loop_project.publish()
    monkeypatch.setattr(context, "Context", lambda _: loop_project.context)
    project = ("--project", str(loop_project.id))
    for name in ("catalogue.csv", "catalogue.ecsv"):
        result = run_one_of(commands(), "catalogue", *project, "--out", tmp_path / name, "--draw", tmp_path / "d.csv")
        assert result.exit_code == 0, result.output
        assert f"{tmp_path / name}: 24 rows" in result.output
    read = QTable.read(tmp_path / "catalogue.ecsv")
    assert list(read["cube"]) == [row["cube"] for row in read_table(tmp_path / "catalogue.csv")]
    assert read.meta["model_version"] == version
    assert (tmp_path / "d.csv").read_text().startswith("cube,label,emergence_frame")


def test_catalogue_refuses_another_ending_before_it_reads_anything(tmp_path: Path) -> None:
    """There is no Label Studio here."""
    result = run_one_of(commands(), "catalogue", "--project", "1", "--out", tmp_path / "catalogue.xlsx")
    assert result.exit_code == 2
    assert "catalogue.xlsx ends in '.xlsx'" in result.output
    assert "rename it" in " ".join(result.output.split())
