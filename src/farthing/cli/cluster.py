"""``farthing cluster``: what a description of hardware means."""

from __future__ import annotations

import click

from farthing.cli.options import Command, complete_cluster, option, output_options


@click.group("cluster")
def cluster() -> None:
    """Clusters: what a description of hardware means."""


@cluster.command("show", cls=Command, short_help="Hosts, cards, links and prices of a cluster.")
@click.argument("text", metavar="CLUSTER", shell_complete=complete_cluster)
@option("Output", "as_toml", "--toml", is_flag=True, help="TOML to edit: give the file to --on.")
@output_options
def show_cluster(text: str, as_toml: bool, as_json: bool) -> None:
    """Hosts, cards, links, totals and prices of CLUSTER.

    CLUSTER is HOSTSxCARDS:ACCELERATOR@NETWORK, unlike hosts joined with +, a .toml file, or - for TOML on
    standard input.

    \b
    Examples:
      farthing cluster show 2x4:rtx-4090@25gbe
      farthing cluster show 1x2:rtx-4090+1x1:m2-ultra@10gbe --toml
      farthing cluster show 256x8:a100-sxm-80gb@ib-hdr --json
    """
    from farthing import api
    from farthing.cli.output import show, show_json, write
    from farthing.errors import InvalidInput

    machines = api.find_cluster(text)
    if as_toml and as_json:
        raise InvalidInput("give --toml or --json, not both")
    if as_toml:
        from farthing.report.toml import cluster_toml

        write(cluster_toml(machines, api.accelerators()))
    elif as_json:
        show_json(machines)
    else:
        from farthing.report.clusters import cluster_report

        listed = {group.accelerator.id for group in machines.groups} & set(api.accelerators())
        show(cluster_report(machines, {id: (api.purchase_price(id), api.rental_price(id)) for id in listed}))
