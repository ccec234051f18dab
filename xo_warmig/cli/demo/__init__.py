"""``demo``: a whole warm migration between two simulated pools that nothing could move a running VM between, and the proof of it."""

import asyncio
import tempfile
from pathlib import Path

import click
from rich.console import Console

from xo_warmig.cli.demo import scene, summary
from xo_warmig.cli.demo.story import Outcome, Story
from xo_warmig.cli.interrupts import termination_as_interrupt
from xo_warmig.cli.options import json_option
from xo_warmig.cli.terminal import errors, output, print_json
from xo_warmig.simulator.launch import start_site


@click.command()
@click.option("--serve", is_flag=True, help="Keep pools and server running afterwards, until interrupted.")
@json_option
def demo(as_json: bool, serve: bool) -> None:
    """Migrate a simulated VM between two simulated pools, and prove that nothing was lost.

    Needs no hypervisor. With --json the story goes to standard error, and one JSON object to standard output.
    """
    console = errors() if as_json else output()
    files = _can_write_files(console)
    with (
        termination_as_interrupt(),
        tempfile.TemporaryDirectory(prefix="xo-warmig-demo-") as directory,
        start_site(scene.site(files=files)) as site,
    ):

        def told(outcome: Outcome) -> None:
            if as_json:
                print_json(summary.as_json(outcome.report, outcome.proof))
            else:
                summary.show(console, outcome.report, outcome.proof)

        story = Story(site, console, files=files)
        outcome = asyncio.run(story.tell(Path(directory, "state"), serve=serve, told=told))
    if not outcome.proof.holds:
        raise click.exceptions.Exit(1)


def _can_write_files(console: Console) -> bool:
    missing = scene.missing_tools()
    if missing:
        console.print(
            f"[yellow]{', '.join(missing)} not found[/]: the guest writes plain blocks instead of files in ext4. "
            "Install e2fsprogs for the whole demonstration.",
            highlight=False,
        )
    return not missing
