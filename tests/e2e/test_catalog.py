"""``farthing catalog``: every table is listed, every row is shown."""

import json

import pytest
from click.testing import CliRunner

from farthing import api
from farthing.cli.catalog import TABLES
from farthing.cli.main import cli, main


@pytest.mark.parametrize("table", TABLES)
def test_a_table_is_listed_and_its_rows_shown(table: str) -> None:
    rows = api.table(table)
    listed = CliRunner(env={"COLUMNS": "200"}).invoke(cli, ["catalog", "list", table])
    assert listed.exit_code == 0
    assert all(row in listed.stdout for row in rows)
    encoded = CliRunner().invoke(cli, ["catalog", "list", table, "--json"])
    assert [row["id"] for row in json.loads(encoded.stdout)] == list(rows)
    for row in rows.values():
        shown = CliRunner(env={"COLUMNS": "400"}).invoke(cli, ["catalog", "show", table, row.id])
        assert shown.exit_code == 0
        assert row.name in shown.stdout
        assert row.source.split()[0] in shown.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("show", "links", "ib-hrd"), "unknown link 'ib-hrd'; did you mean ib-hdr"),
        (("show", "formats", "q9_z"), "unknown number format 'q9_z'"),
        (("list", "bogus"), "unknown table 'bogus'; one of links"),
    ],
)
def test_names_that_do_not_exist(
    arguments: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["catalog", *arguments]) == 2
    assert message in capsys.readouterr().err
