"""What the demonstration does, step by step: it is a client of the server like any other."""

import asyncio
import contextlib
from collections.abc import Callable
from pathlib import Path

import msgspec
from rich.console import Console

from xo_warmig import app
from xo_warmig.cli import following
from xo_warmig.cli.demo import scene
from xo_warmig.cli.demo.control import SimulatedPool, refusal_of_live_migration
from xo_warmig.cli.demo.proof import Proof, prove
from xo_warmig.cli.interrupts import until_interrupted
from xo_warmig.cli.progress import MigrationProgress
from xo_warmig.cli.server import add_and_wait
from xo_warmig.client import Client, Notifications, connect
from xo_warmig.config import Config
from xo_warmig.errors import WarmigError
from xo_warmig.model.reports import MigrationReport
from xo_warmig.model.units import format_bytes
from xo_warmig.simulator.launch import Site

LIVE_MIGRATION_REFUSED = "VM_INCOMPATIBLE_WITH_THIS_HOST"
CONNECT_SECONDS = 30.0


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What came of it."""

    report: MigrationReport
    proof: Proof


class Story:
    """One run on a site that is up. ``console``: where it is told as it happens."""

    def __init__(self, site: Site, console: Console, *, files: bool) -> None:
        self._console = console
        self._files = files
        self.pools = [SimulatedPool(pool.url, pool.username, pool.password) for pool in site.pools]
        self._site = site
        self._vm = site.pools[0].vms[0].uuid
        self._sr = site.pools[1].srs[0].uuid

    async def tell(self, state_dir: Path, *, serve: bool, told: Callable[[Outcome], None]) -> Outcome:
        """Everything. ``told`` is given the outcome before ``serve`` keeps it all running until interrupted.

        Raises:
            WarmigError: something failed.
        """
        source, target = self.pools
        await self._wake_guest(source)
        await self._try_live_migration(source, target)
        async with app.running(Config(port=0, state_dir=state_dir)) as server:
            async with connect(server.url, email=server.administrator, password=server.new_password) as client:
                self._say(f"Server at {server.url}; signed in over the websocket as {server.administrator}")
                await self._add_pools(client)
                report = await self._migrate(client)
            proof = await prove(source, self._vm, target, str(report.target_vm), files=self._files)
            await asyncio.to_thread(target.order_guest, str(report.target_vm), rate=scene.GUEST_RATE)
            outcome = Outcome(report=report, proof=proof)
            told(outcome)
            if serve:
                self._invite(server)
                await until_interrupted(server.stopped())
        return outcome

    async def _wake_guest(self, source: SimulatedPool) -> None:
        rate = scene.GUEST_RATE
        await asyncio.to_thread(source.order_guest, self._vm, rate=rate, write=scene.FIRST_FILES_BYTES)
        what = "files into its ext4 file system" if self._files else "blocks"
        self._say(f"VM web-1 runs on intel-pool; its guest writes {what}, {format_bytes(rate)}/s")

    async def _try_live_migration(self, source: SimulatedPool, target: SimulatedPool) -> None:
        refusal = await asyncio.to_thread(refusal_of_live_migration, source, target, self._vm)
        if refusal is None or refusal.code != LIVE_MIGRATION_REFUSED:
            raise WarmigError(
                f"a live migration should have been refused with {LIVE_MIGRATION_REFUSED}, but: {refusal or 'it was not'}",
                code="DEMO_SPOILT",
            ) from refusal
        self._say("Live migration to amd-pool:", f"[red]refused[/] by XAPI with {refusal.code}")

    async def _add_pools(self, client: Client) -> None:
        for pool in self._site.pools:
            parameters = {"host": pool.url, "username": pool.username, "password": pool.password}
            await add_and_wait(client, parameters, timeout_seconds=CONNECT_SECONDS)
        self._say("Both pools added with server.add, connected")

    async def _migrate(self, client: Client) -> MigrationReport:
        """Through the call that Xen Orchestra's clients make, with our own optional member for the downtime."""
        self._say("vm.warmMigration {vm, sr, startDestinationVm: true, deleteSourceVm: false}")
        notifications = client.notifications()
        with MigrationProgress(self._console) as progress:
            showing = asyncio.create_task(_show(notifications, progress))
            try:
                await client.call(
                    "vm.warmMigration",
                    vm=self._vm,
                    sr=self._sr,
                    startDestinationVm=True,
                    deleteSourceVm=False,
                    targetDowntime=scene.TARGET_DOWNTIME_SECONDS,
                )
                (made,) = await client.call_as(list[MigrationReport], "warmMigration.list")
                return await following.follow(client, made.id, progress.show)
            finally:
                showing.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await showing

    def _invite(self, server: app.Server) -> None:
        self._console.print()
        self._say(f"Still running: {server.url}  {server.administrator}  {server.new_password}")
        for pool in self._site.pools:
            self._say(f"  {pool.url}  {pool.username}  {pool.password}")
        self._say("Ctrl-C ends it.")

    def _say(self, text: str, marked: str = "") -> None:
        self._console.print(text, end=" " if marked else "\n", markup=False, highlight=False, soft_wrap=True)
        if marked:
            self._console.print(marked, highlight=False)


async def _show(notifications: Notifications, progress: MigrationProgress) -> None:
    async for notification in notifications:
        if notification.method == following.NOTIFICATION:
            progress.show(following.reported(notification))
