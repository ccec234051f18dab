"""Two pools with small VMs, and migrations between them, each by a server of its own that is struck and started again."""

import asyncio
import contextlib
import itertools
import os
import shutil
import signal
import time
import urllib.error
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec

from tests.faults.evidence import Asked, Json, Look, Sides, Story, on_show
from tests.faults.incidents import Incident
from tests.faults.looking import Watcher
from tests.faults.servers import Nursery, Server
from tests.faults.words import Word, say
from tests.pools import XapiSession, control, start_site, tiny_vm
from xo_warmig.client import CallFailed, Client, ConnectionLost
from xo_warmig.model.units import GIB, MIB
from xo_warmig.simulator.launch import Pool, Site
from xo_warmig.simulator.site import PoolConfig, SiteConfig, VmConfig

_ENDS = ("done", "failed", "cancelled")
_PATIENCE_SECONDS = 180.0  # also where much else runs on the machine
_DYING_SECONDS = 5.0  # a client may see a server's end before its parent does
_GUEST_RATE = MIB
_POOL_AWAY = "POOL_UNREACHABLE"
_LOOK_SECONDS = 0.03
_numbers = itertools.count(1)


class Variant(msgspec.Struct, frozen=True, kw_only=True):
    """A way that a migration goes: its parameters, faults on the target's pool, and the end that must come.

    ``words``: what people say on the way. ``user_snapshot``: the source has a snapshot that is its user's. ``nbd``: both pools
    serve blocks, so that changes are tracked, and the target is read back by blocks.
    """

    name: str
    parameters: dict[str, Any]
    expected: tuple[str, ...] = ("done",)
    faults: tuple[dict[str, Any], ...] = ()
    words: tuple[Word, ...] = ()
    user_snapshot: bool = False
    nbd: bool = False

    @property
    def asked(self) -> Asked:
        return Asked(
            started=self.parameters["startDestinationVm"],
            delete=self.parameters["deleteSourceVm"],
            on_failure=self.parameters.get("onFailure", "keep"),
            discards=any(word.name == "rollback" for word in self.words),
        )

    def is_over(self, report: Json | None) -> bool:
        """Whether nothing more is to be expected; while somebody will settle it, it is not."""
        awaited = any(word.phase == "awaiting_commit" for word in self.words)
        return report is not None and report["phase"] in (_ENDS if awaited else (*_ENDS, "awaiting_commit"))


class Told(msgspec.Struct, kw_only=True):
    """What came of one migration. ``passed``: the points that each of its servers passed. ``struck``: how many strikes were reached.

    ``seconds``: how long its parts took.
    """

    passed: list[list[str]]
    struck: int
    seconds: dict[str, float]
    story: Story


class Scene:
    """The pools. Every VM serves once; ``left`` says how many there are."""

    def __init__(self, site: Site, nursery: Nursery, directory: Path) -> None:
        self.site = site
        self.source, self.target = site.pools[0], site.pools[1]
        self._nursery = nursery
        self._directory = directory
        names = {vm.uuid: vm.name_label for pool in site.pools for vm in pool.vms}
        self.bystanders = frozenset(uuid for uuid, name in names.items() if name.startswith("bystander"))
        self._unused = [(vm.uuid, vm.name_label) for vm in self.source.vms if vm.uuid not in self.bystanders]

    @property
    def left(self) -> int:
        return len(self._unused)

    async def prepare(self) -> None:
        """A state directory that knows both pools, from which every server's is copied."""
        server = Server(self._nursery, self._directory / "template", _address())
        (self._directory / "template" / "state").mkdir(parents=True)
        await server.start()
        async with server.client() as client:
            for pool in self.site.pools:
                named = {"host": pool.url, "username": pool.username, "password": pool.password}
                await client.call("server.add", allowUnauthorized=True, **named)
            await connected(client)
        await server.end(signal.SIGTERM)

    def server(self) -> Server:
        """One that was never started, with both pools in its book."""
        number = next(_numbers)
        directory = self._directory / f"server-{number}"
        shutil.copytree(self._directory / "template" / "state", directory / "state")
        return Server(self._nursery, directory, _address())

    async def arm(self, variant: Variant) -> None:
        """Its faults, for all that follow."""
        await asyncio.to_thread(control, self.target, "faults", clear=True)
        for fault in variant.faults:
            await asyncio.to_thread(control, self.target, "faults", **fault)
        for pool in (self.source, self.target):
            await asyncio.to_thread(self._serve_blocks, pool, variant.nbd)

    @staticmethod
    def _serve_blocks(pool: Pool, serves: bool) -> None:
        session = XapiSession(pool)
        for network, record in session.call("network.get_all_records").items():
            if serves and not record["purpose"]:
                session.call("network.add_purpose", network, "insecure_nbd")
            if not serves and record["purpose"]:
                session.call("network.remove_purpose", network, "insecure_nbd")

    def migration(self, variant: Variant) -> "Migration":
        """Of a VM that was not used before."""
        vm, name = self._unused.pop()
        return Migration(self, variant, vm, name)


class Migration:
    """One migration: what was before, the server that does it, and what is after."""

    def __init__(self, scene: Scene, variant: Variant, vm: str, name: str) -> None:
        self.scene = scene
        self.variant = variant
        self.vm = vm
        self.name = name
        self.server = scene.server()
        self.watchers = Sides(Watcher(scene.source), Watcher(scene.target))
        self.halted: Look | None = None
        self.seconds: dict[str, float] = {}
        self._parameters = {"vm": vm, "sr": scene.target.srs[0].uuid, **variant.parameters}
        self._last = time.monotonic()

    async def begin(self) -> None:
        """Look, and let the guest write."""
        if self.variant.user_snapshot:
            await asyncio.to_thread(self._take_users_snapshot)
        self.since = Sides(*[await asyncio.to_thread(watcher.mark) for watcher in self.watchers])
        self._before = await self._looks(hashed=True)
        await self.let_write()
        self._lap("before")

    def _take_users_snapshot(self) -> None:
        session = self.watchers.source.session
        session.call("VM.snapshot", session.call("VM.get_by_uuid", self.vm), f"{self.name} the user's own", [])

    async def let_write(self) -> None:
        """The guest writes, if the source runs."""
        with contextlib.suppress(urllib.error.HTTPError):
            await asyncio.to_thread(control, self.scene.source, "guest", vm=self.vm, rate=_GUEST_RATE)

    async def carry_out(self, strikes: tuple[str, ...] = (), incident: Incident | None = None) -> Told:
        """From the first look to the last, with the server killed at one point after the other.

        With an incident it is not killed but held still at its one point, until that has happened.
        """
        await self.begin()
        struck = 0
        passed: list[list[str]] = []
        watching = asyncio.create_task(self._watch_halt()) if self.variant.asked.delete else None
        try:
            for strike_at in (*strikes, ""):
                died = await self.one_server(strike_at, incident if strike_at else None)
                passed.append(self.server.passed.names)
                struck += self.server.passed.struck
                if not died:
                    break
        finally:
            if watching is not None:
                watching.cancel()
                await asyncio.gather(watching, return_exceptions=True)
        return Told(passed=passed, struck=struck, seconds=self.seconds, story=await self.end())

    async def one_server(self, strike_at: str, incident: Incident | None = None) -> bool:
        """Until the migration has ended, or the server; True for the server."""
        up = await self.server.start(strike_at=strike_at, strike="kill" if incident is None else "stop")
        meeting = asyncio.create_task(self._meet(incident)) if incident is not None else None
        self._lap("start")
        try:
            if up:
                await self._followed()
        finally:
            if meeting is not None:
                # A pool that was killed is up again for whoever comes next, however this one ended.
                if not self.server.passed.struck:
                    meeting.cancel()
                await asyncio.gather(meeting, return_exceptions=not self.server.passed.struck)
        self._lap("migrate")
        return self.server.is_dead

    async def _followed(self) -> None:
        """See the migration's end, or the server's."""
        following = asyncio.create_task(self.follow())
        dying = asyncio.create_task(self.server.dead())
        await asyncio.wait({following, dying}, return_when=asyncio.FIRST_COMPLETED)
        if following.done() and isinstance(following.exception(), ConnectionLost):
            await asyncio.wait({dying}, timeout=_DYING_SECONDS)
        dead = self.server.is_dead
        following.cancel()
        dying.cancel()
        outcome, _ = await asyncio.gather(following, dying, return_exceptions=True)
        if not dead and isinstance(outcome, BaseException):
            raise outcome

    async def _meet(self, incident: Incident) -> None:
        """Wait for the server to stand still."""
        while not self.server.is_stopped:
            await asyncio.sleep(_LOOK_SECONDS)
        await incident.happen(self)

    async def follow(self) -> None:
        """Ask for the migration unless it has ended, and see it end; its report and events are kept."""
        async with asyncio.timeout(_PATIENCE_SECONDS), self.server.client() as client:
            await connected(client)
            if not self.variant.is_over(await self._report(client)):
                self.server.armed.touch()
                await self._steer(client)
            while not self.variant.is_over(report := await self._report(client)):
                await asyncio.sleep(_LOOK_SECONDS)
            assert report is not None
            if report["phase"] == "done" and not self.variant.asked.delete:
                assert await self._again(client) == report["targetVm"], "the call again answers what was recorded"
            self.report = report
            self.events: list[Json] = await client.call("warmMigration.events", id=report["id"])
            while report["finished"] is not None and on_show(self.events):
                await asyncio.sleep(_LOOK_SECONDS)
                self.events = await client.call("warmMigration.events", id=report["id"])

    async def _steer(self, client: Client) -> None:
        """Ask for it, again where it runs already and is joined; and say what is to be said until that is answered."""
        asking = asyncio.create_task(self._asked(client))
        saying = asyncio.create_task(say(client, self.variant.words, lambda: self._report(client)))
        try:
            await asking
            await saying
        finally:
            for task in (asking, saying):
                task.cancel()
            await asyncio.gather(asking, saying, return_exceptions=True)

    async def end(self) -> Story:
        """The last look."""
        await self.server.end()
        with contextlib.suppress(urllib.error.HTTPError):  # its guest does not run where it was moved
            await asyncio.to_thread(control, self.scene.source, "guest", vm=self.vm, stop=True)
        after = await self._looks(hashed=True)
        traces = Sides(
            *[await asyncio.to_thread(w.trace, since) for w, since in zip(self.watchers, self.since, strict=True)]
        )
        self._lap("after")
        return Story(
            vm=self.vm,
            asked=self.variant.asked,
            expected=self.variant.expected,
            before=self._before,
            after=after,
            traces=traces,
            report=self.report,
            events=self.events,
            bystanders=self.scene.bystanders,
            halted=self.halted,
        )

    async def _asked(self, client: Client) -> None:
        """Ask for the migration, or join the one that runs; again when a pool was away before it began."""
        while True:
            refusal = await self._ask(client)
            if await self._report(client) is not None:
                return
            assert refusal is not None, "the migration did not begin"
            assert refusal.code == _POOL_AWAY, f"the migration did not begin: {refusal}"
            await connected(client)

    async def _ask(self, client: Client) -> CallFailed | None:
        """Ask for the migration and wait for its answer; its refusal or failure."""
        try:
            await client.call("vm.warmMigration", **self._parameters)
        except CallFailed as failure:
            return failure
        return None

    async def _again(self, client: Client) -> object:
        """The answer to the call after its end; the source is looked at for it, so a pool that was killed is waited for."""
        while True:
            try:
                return await client.call("vm.warmMigration", **self._parameters)
            except CallFailed as failure:
                if failure.code != _POOL_AWAY:
                    raise
                await connected(client)

    async def _report(self, client: Client) -> Json | None:
        """The newest of this VM."""
        reports: list[Json] = [each for each in await client.call("warmMigration.list") if each["vm"] == self.vm]
        return max(reports, key=lambda each: float(each["created"])) if reports else None

    async def _looks(self, *, hashed: bool) -> Sides:
        return Sides(
            *[await asyncio.to_thread(w.look, self.name, self.scene.bystanders, hashed=hashed) for w in self.watchers]
        )

    async def _watch_halt(self) -> None:
        """See what a source holds that will be deleted, once it is halted."""
        watcher = self.watchers.source
        ref = self._before.source.vms[self.vm]["ref"]
        while self.halted is None:
            with contextlib.suppress(OSError, LookupError):  # a pool that is killed is asked again
                if await asyncio.to_thread(self._power_state, watcher, ref) == "Halted":
                    self.halted = await asyncio.to_thread(watcher.look, self.name, (), hashed=True)
            await asyncio.sleep(_LOOK_SECONDS)

    @staticmethod
    def _power_state(watcher: Watcher, ref: str) -> str:
        return str(watcher.session.call("VM.get_power_state", ref))

    def _lap(self, name: str) -> None:
        now = time.monotonic()
        self.seconds[name] = self.seconds.get(name, 0.0) + now - self._last
        self._last = now


async def connected(client: Client) -> None:
    """Both pools."""
    async with asyncio.timeout(_PATIENCE_SECONDS):
        while {server["status"] for server in await client.call("server.getAll")} != {"connected"}:
            await asyncio.sleep(_LOOK_SECONDS)


@contextlib.asynccontextmanager
async def scene_of(nursery: Nursery, directory: Path, count: int) -> AsyncIterator[Scene]:
    """Pools with so many VMs, and bystanders; gone in the end."""
    # Storage is tidied up when it is looked at, not at a moment of its own.
    roomy: dict[str, Any] = {"host_memory_bytes": 1024 * GIB, "gc_delay_seconds": 3600.0}
    source = PoolConfig(
        name="source", vms=[moving_vm(f"vm-{n:03}.") for n in range(count)] + _bystanders("source"), **roomy
    )
    target = PoolConfig(name="target", cpu_vendor="AuthenticAMD", seed=2, vms=_bystanders("target"), **roomy)
    pools = SiteConfig(pools=[source, target], directory=directory / "pools")
    starting = start_site(pools)
    site = await asyncio.to_thread(starting.__enter__)
    try:
        scene = Scene(site, nursery, directory)
        await scene.prepare()
        yield scene
    finally:
        await asyncio.to_thread(starting.__exit__, None, None, None)
        shutil.rmtree(directory, ignore_errors=True)


def moving_vm(name: str) -> VmConfig:
    """One to migrate: with blocks of the user's own, and state of its own to carry."""
    return tiny_vm(
        name,
        platform={"timeoffset": "7"},
        NVRAM={"EFI-variables": "AAAA"},
        vtpm=True,
        blocked_operations={"clone": "the user's own"},
        other_config={"auto_poweron": "true", "folder": "/tests"},
    )


def _bystanders(side: str) -> list[VmConfig]:
    """One that runs, and one that does not."""
    return [tiny_vm(f"bystander {side} {state}", power_state=state) for state in ("Running", "Halted")]


def _address() -> str:
    """One of loopback's that nobody else uses, so that a server finds its port free again."""
    number = next(_numbers)
    return f"127.{100 + os.getpid() % 100}.{number // 250 % 250}.{1 + number % 250}"


LOST = (ConnectionLost, CallFailed, TimeoutError, AssertionError)
