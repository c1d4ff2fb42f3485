"""``farthing catalog``: parts and where they stand, what tokens cost elsewhere, engines, number formats."""

from __future__ import annotations

import click
from click.shell_completion import CompletionItem

from farthing.cli.options import Command, Word, option, output_options

TABLES = (
    "links",
    "nics",
    "switches",
    "hosts",
    "parts",
    "countries",
    "hosting",
    "facilities",
    "engines",
    "formats",
)
"""Tables whose rows have ids."""

LISTS = (*TABLES, "host-parts", "resale", "api-prices")


def _complete_row(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    from farthing import api

    table = ctx.params.get("table")
    rows = api.table(table) if table in TABLES else {}
    return [CompletionItem(id) for id in rows if id.startswith(incomplete.lower())]


@click.group("catalog", short_help="Links, network cards, hosts, parts, countries, engines, formats.")
def catalog() -> None:
    """The rest of the catalogue: parts of clusters, places, what tokens cost elsewhere, engines, formats."""


@catalog.command("list", cls=Command, short_help="One line for each row of a table.")
@click.argument("table", type=Word(LISTS), metavar="TABLE")
@option("Filter", "--search", metavar="TEXT", help="Only those with this text in id or name.")
@output_options
def list_rows(table: str, search: str | None, as_json: bool) -> None:
    """One line for each row of TABLE.

    \b
    links        between cards, and between hosts
    nics         network cards
    switches     between hosts
    hosts        machines without their accelerators
    host-parts   what a host is made of that somebody builds
    parts        boards, processors, memory, power supplies, cables
    countries    price of electricity, and what a socket carries
    hosting      rent of space in data centres
    facilities   data centres by their overhead of power
    resale       what used accelerators kept of their price
    api-prices   what providers ask for the tokens of a model
    engines      software that serves or trains
    formats      number formats

    \b
    Examples:
      farthing catalog list links --search ib-
      farthing catalog list api-prices --search llama-3.3
      farthing catalog list parts --search psu
      farthing catalog list formats --search q4
      farthing catalog list hosts --json
    """
    from farthing import api
    from farthing.cli.output import show, show_json

    rows = api.catalog_records(table, search=search or "")
    if as_json:
        show_json(rows)
    else:
        from farthing.report.catalog import row_list

        show(row_list(table, rows, api.table_prices(table)))


@catalog.command("show", cls=Command, short_help="All facts of one row, with its source.")
@click.argument("table", type=Word(TABLES), metavar="TABLE")
@click.argument("name", metavar="ID", shell_complete=_complete_row)
@output_options
def show_row(table: str, name: str, as_json: bool) -> None:
    """All facts of the row ID of TABLE, with their source.

    \b
    Examples:
      farthing catalog show links ib-hdr
      farthing catalog show formats q4_k_m
      farthing catalog show engines vllm --json
    """
    from farthing import api
    from farthing.cli.output import show, show_json

    if as_json:
        show_json(api.row(table, name))
    else:
        from farthing.report.catalog import row_report

        show(row_report(api.catalog_row(table, name)))
