"""``farthing prices``: what is known, refreshed and of the user's own."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

from farthing.cli.options import Command, Word, option, output_options

KINDS = ("rental", "purchase", "used", "launch")


class Day(click.ParamType[str]):
    """A date, or a month or year."""

    name = "date"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The text, if it is one."""
        from farthing.catalog.own_prices import check_date

        return check_date(str(value))


def _complete_item(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    from farthing.catalog.own_prices import priced_items

    return [CompletionItem(id) for id in sorted(priced_items()) if id.startswith(incomplete.lower())]


@click.group("prices", short_help="Prices: list, refresh, use your own.")
def prices() -> None:
    """Prices: list what is known, refresh rental offers, use your own."""


@prices.command("list", cls=Command, short_help="One line for each price.")
@click.argument("items", nargs=-1, metavar="[ITEM]...", shell_complete=_complete_item)
@option("Filter", "--kind", type=Word(KINDS), help="Only of this kind.")
@option("Filter", "--since", type=Day(), metavar="DATE", help="Only seen on this day or later, e.g. 2026-06.")
@option("Filter", "--stale", is_flag=True, help="Only those older than half a year.")
@output_options
def list_prices(
    items: tuple[str, ...], kind: str | None, since: str | None, stale: bool, as_json: bool
) -> None:
    """One line for each price of ITEM, or of everything, newest first.

    ITEM is an accelerator, host, network card, switch or part. Your own prices stand in for all others of
    the same item and kind, refreshed rental offers for older shipped ones.

    \b
    Examples:
      farthing prices list h100-sxm rtx-4090
      farthing prices list --kind rental --since 2026-06
      farthing prices list rtx-3090 --stale --json
    """
    import datetime

    from farthing import api
    from farthing.cli.output import show, show_json
    from farthing.report.prices import price_list, price_object

    # Each item once, in the order asked.
    found = [price for item in dict.fromkeys(items) for price in api.prices(item)] if items else api.prices()
    today = datetime.date.today()
    chosen = [
        price
        for price in found
        if kind in (None, price.kind)
        and (since is None or price.date >= since)
        and (not stale or price.is_stale(today))
    ]
    if as_json:
        show_json([price_object(price) for price in chosen])
    else:
        show(price_list(chosen))


@prices.command("update", cls=Command, short_help="Refresh rental offers.")
@output_options
def update(as_json: bool) -> None:
    """Refresh rental offers through the package gpuhunt, and keep them for all later estimates.

    Kept is the cheapest offer of each provider for an accelerator, on demand and spot. Where nothing can be
    read, the exit code is 1 and all prices stay. GPUHUNT_CATALOG_URL names a mirror of gpuhunt's catalogue.

    \b
    Examples:
      farthing prices update
      farthing prices update --json
    """
    from farthing import api
    from farthing.cli.output import show, show_json

    # It logs what the report or the error tells.
    gpuhunt = logging.getLogger("gpuhunt")
    gpuhunt.addHandler(logging.NullHandler())
    gpuhunt.propagate = False
    found = api.update_prices()
    if as_json:
        show_json(found)
    else:
        from farthing.report.prices import update_report

        show(update_report(found))


@prices.command("use", cls=Command, short_help="Go by prices of your own.")
@click.argument("file", type=click.Path(path_type=Path), metavar="FILE.csv")
@output_options
def use(file: Path, as_json: bool) -> None:
    """Check the prices in FILE.csv and keep them for all later estimates, in place of earlier ones of yours.

    The header is item,kind,usd,per,date and, where wanted, provider,spot,region,source. A kind is rental
    (per accelerator-hour), purchase, used or launch (per unit); dates are like 2026-11-02.

    \b
    Examples:
      farthing prices use my-prices.csv
      farthing prices use my-prices.csv --json
    """
    from farthing import api
    from farthing.catalog import own_prices
    from farthing.cli.output import show, show_json
    from farthing.report.prices import counted, price_object

    found = api.use_prices(file)
    kept = str(own_prices.file())
    if as_json:
        show_json({"file": kept, "prices": [price_object(price) for price in found]})
    else:
        show(f"from now on used: {counted(found)}; kept in {kept}")


@prices.command("forget", cls=Command, short_help="Drop your own and refreshed prices.")
@output_options
def forget(as_json: bool) -> None:
    """Drop the prices that use and update keep, and go by those that ship.

    \b
    Examples:
      farthing prices forget
      farthing prices forget --json
    """
    from farthing import api
    from farthing.cli.output import show, show_json

    dropped = api.forget_prices()
    if as_json:
        show_json({"forgotten": dropped})
    else:
        show(f"dropped: {', '.join(dropped)}" if dropped else "there were no prices of your own")
