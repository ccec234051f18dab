"""What the tests share: a pool of dictionaries behind the calls that the adapters make, and simulated pools on the real wire."""

import asyncio
import copy
import inspect
import json
import time
import urllib.request
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from tests.pools import start_site
from xo_warmig.model.servers import ServerCredentials
from xo_warmig.simulator.expression import parse
from xo_warmig.simulator.launch import Pool as SimulatedPool
from xo_warmig.simulator.launch import Site
from xo_warmig.simulator.site import DiskConfig, GuestConfig, PoolConfig, SiteConfig, VmConfig
from xo_warmig.xapi import failures
from xo_warmig.xapi.directory import Directory
from xo_warmig.xapi.objects import NULL
from xo_warmig.xapi.pool import Pool

Record = dict[str, Any]


class FakePool:
    """Fits ``xo_warmig.xapi.connection.Calls``. ``handlers`` answer calls by name, before the generic answers."""

    pool_name = "fake"
    server_id = "server-1"

    def __init__(self) -> None:
        self.records: dict[str, dict[str, Record]] = {}
        self.handlers: dict[str, Callable[..., Any]] = {}
        self.log: list[str] = []
        self.now = "20261126T00:00:00Z"
        self.add("pool", master="OpaqueRef:master")
        self.handlers["host.get_servertime"] = lambda _: self.now

    def add(self, cls: str, /, **fields: Any) -> str:
        """A new object; its reference."""
        ref = f"OpaqueRef:{uuid.uuid4()}"
        self.records.setdefault(cls, {})[ref] = {"uuid": str(uuid.uuid4()), "other_config": {}, **fields}
        return ref

    def get(self, cls: str, ref: str) -> Record:
        try:
            return self.records[cls][ref]
        except KeyError:
            raise self.failure("HANDLE_INVALID", cls, ref) from None

    def failure(self, *details: str) -> Exception:
        return failures.from_details(details, call="test", pool=self.pool_name)

    async def call(self, method: str, *arguments: Any) -> Any:
        """One call, answered at once; ``Async.`` ones by a task that has ended."""
        self.log.append(method)
        if method.startswith("Async."):
            return self._task(method.removeprefix("Async."), arguments)
        return self._answer(method, copy.deepcopy(arguments))

    def calls(self, *methods: str) -> list[str]:
        """Those of the calls made so far that are named, in their order."""
        return [method for method in self.log if method.removeprefix("Async.") in methods]

    def _task(self, method: str, arguments: tuple[Any, ...]) -> str:
        try:
            result = self._answer(method, arguments)
        except Exception as error:
            details = [failures.code_of(error), *getattr(error, "evidence", {}).get("xapi", [""])[1:]]
            return self.add("task", name_label=method, status="failure", result="", error_info=details)
        text = f"<value>{result or ''}</value>"
        return self.add("task", name_label=method, status="success", result=text, error_info=[])

    def _answer(self, method: str, arguments: tuple[Any, ...]) -> Any:
        if method in self.handlers:
            return self.handlers[method](*arguments)
        cls, _, name = method.partition(".")
        match name:
            case "get_all_records":
                return copy.deepcopy(self.records.get(cls, {}))
            case "get_all_records_where":
                test = parse(arguments[0])
                return copy.deepcopy({ref: row for ref, row in self.records.get(cls, {}).items() if test(row)})
            case "get_record":
                return copy.deepcopy(self.get(cls, arguments[0]))
            case "get_by_uuid":
                return self._by_uuid(cls, arguments[0])
            case "create":
                return self._create(cls, arguments[0])
            case "destroy":
                self.get(cls, arguments[0])
                del self.records[cls][arguments[0]]
                return ""
        return self._field(cls, name, arguments)

    def _create(self, cls: str, record: Record) -> str:
        ref = self.add(cls, **record)
        if cls in ("VM", "VDI"):
            self.get(cls, ref).update(is_a_snapshot=False, current_operations={}, VBDs=[])
        if cls == "VM":
            self.get(cls, ref).update(blocked_operations={}, VBDs=[], VIFs=[], VTPMs=[], power_state="Halted")
        elif "VM" in record:
            self.get("VM", record["VM"])[f"{cls}s"].append(ref)
        return ref

    def _by_uuid(self, cls: str, wanted: str) -> str:
        for ref, record in self.records.get(cls, {}).items():
            if record["uuid"] == wanted:
                return ref
        raise self.failure("UUID_INVALID", cls, wanted)

    def _field(self, cls: str, name: str, arguments: tuple[Any, ...]) -> Any:
        record = self.get(cls, arguments[0])
        for prefix in ("add_to_", "remove_from_", "get_", "set_"):
            if not name.startswith(prefix):
                continue
            field = name.removeprefix(prefix)
            match prefix:
                case "get_":
                    return copy.deepcopy(record[field])
                case "set_":
                    record[field] = arguments[1]
                case "add_to_":
                    if arguments[1] in record[field]:
                        raise self.failure("MAP_DUPLICATE_KEY", cls, field, *arguments[:2])
                    record[field][arguments[1]] = arguments[2]
                case "remove_from_":
                    record[field].pop(arguments[1], None)
            return ""
        raise self.failure("MESSAGE_METHOD_UNKNOWN", f"{cls}.{name}")


@pytest.fixture
def pool() -> FakePool:
    return FakePool()


def vm_fields(**fields: Any) -> Record:
    """The record of a VM as XML-RPC brings it: integers are text."""
    return {
        "name_label": "web-1",
        "name_description": "the web",
        "power_state": "Running",
        "is_a_template": False,
        "is_a_snapshot": False,
        "is_control_domain": False,
        "current_operations": {},
        "blocked_operations": {},
        "ha_restart_priority": "",
        "memory_static_max": "536870912",
        "memory_static_min": "536870912",
        "memory_dynamic_max": "536870912",
        "memory_dynamic_min": "536870912",
        "snapshot_of": NULL,
        "suspend_VDI": NULL,
        "guest_metrics": NULL,
        "platform": {},
        "VCPUs_max": "2",
        "VCPUs_at_startup": "2",
        "VBDs": [],
        "VIFs": [],
        "VTPMs": [],
        "NVRAM": {},
        **fields,
    }


@pytest.fixture
def make_vm(pool: FakePool) -> Callable[..., str]:
    """Add a VM to the pool; its reference."""

    def make(**fields: Any) -> str:
        return pool.add("VM", **vm_fields(**fields))

    return make


@pytest.fixture
def make_vdi(pool: FakePool) -> Callable[..., str]:
    """Add a VDI to the pool; its reference."""

    def make(**fields: Any) -> str:
        return pool.add(
            "VDI",
            **{
                "SR": NULL,
                "VBDs": [],
                "name_label": "root",
                "name_description": "",
                "virtual_size": "2097152",
                "physical_utilisation": "4096",
                "type": "user",
                "sharable": False,
                "read_only": False,
                "on_boot": "persist",
                "tags": [],
                "snapshots": [],
                "is_a_snapshot": False,
                "snapshot_of": NULL,
                "snapshot_time": "19700101T00:00:00Z",
                "current_operations": {},
                "sm_config": {},
                **fields,
            },
        )

    return make


@pytest.fixture
def copies(pool: FakePool, make_vdi: Callable[..., str]) -> None:
    """The pool takes snapshots and clones of disks as XAPI does: with what stands in ``other_config``."""

    def copied(vdi: str, **fields: Any) -> str:
        record = pool.get("VDI", vdi)
        return make_vdi(SR=record["SR"], other_config=dict(record["other_config"]), **fields)

    def snapshot(vdi: str, _: dict[str, str] | None = None) -> str:
        made = copied(vdi, is_a_snapshot=True, snapshot_of=vdi, snapshot_time=pool.now)
        pool.get("VDI", vdi)["snapshots"].append(made)
        return made

    pool.handlers |= {"VDI.snapshot": snapshot, "VDI.clone": lambda vdi, _: copied(vdi)}


@pytest.fixture
def make_vbd(pool: FakePool) -> Callable[..., str]:
    """Put a VDI and a VM together; the reference of the VBD."""

    def make(vm: str, vdi: str, **fields: Any) -> str:
        ref = pool.add(
            "VBD",
            **{
                "VM": vm,
                "VDI": vdi,
                "userdevice": "0",
                "bootable": True,
                "mode": "RW",
                "type": "Disk",
                "unpluggable": True,
                "empty": False,
                "currently_attached": False,
                "current_operations": {},
                "qos_algorithm_type": "",
                "qos_algorithm_params": {},
                **fields,
            },
        )
        pool.get("VM", vm)["VBDs"].append(ref)
        if vdi in pool.records.get("VDI", {}):
            pool.get("VDI", vdi)["VBDs"].append(ref)
        return ref

    return make


GIB = 1 << 30


def disk(allocated_bytes: int = 0) -> DiskConfig:
    return DiskConfig(size_bytes=1 * GIB, allocated_bytes=allocated_bytes, name_label="system", tags=["t"])


def source_pool() -> PoolConfig:
    """Pool 0: VMs that listen, that have no tools, that ignore a shutdown, and that boot by UEFI."""
    uefi = VmConfig(
        name_label="uefi",
        disks=[disk(2 << 20)],
        platform={"timeoffset": "3600"},
        firmware="uefi",
        NVRAM={"EFI-variables": "QUFBQQ=="},
        power_state="Halted",
    )
    return PoolConfig(
        name="pool-0",
        hosts=2,
        vms=[
            VmConfig(
                name_label="web-1", disks=[disk(8 << 20), disk(4 << 20)], guest=GuestConfig(kind="blocks", rate=0)
            ),
            VmConfig(name_label="no-tools", disks=[disk()], tools=False),
            VmConfig(name_label="stubborn", disks=[disk()], guest=GuestConfig(kind="blocks", ignores_shutdown=True)),
            uefi,
        ],
    )


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    """Two simulated pools, shared by the tests of a module; the second one is empty."""
    pools = [source_pool(), PoolConfig(name="pool-1", cpu_vendor="AuthenticAMD", seed=2, qcow2_export=False)]
    with start_site(SiteConfig(pools=pools)) as running:
        yield running


def credentials(pool: SimulatedPool, **fields: Any) -> ServerCredentials:
    given = {"id": pool.name, "host": pool.url, "username": pool.username, "password": pool.password}
    return ServerCredentials(**{**given, **fields})


@pytest.fixture
def server_of() -> Callable[..., ServerCredentials]:
    """What is needed to connect to a simulated pool."""
    return credentials


@pytest.fixture
async def directory(site: Site) -> AsyncIterator[Directory]:
    """Both pools of the site, connected."""
    found = Directory()
    for simulated in site.pools:
        await found.add(credentials(simulated))
        await found.connect(simulated.name)
    yield found
    await found.close()


@pytest.fixture
async def source(site: Site, directory: Directory) -> Pool:
    return await directory.pool_of_sr(site.pools[0].srs[0].uuid)


@pytest.fixture
async def target(site: Site, directory: Directory) -> Pool:
    return await directory.pool_of_sr(site.pools[1].srs[0].uuid)


def named(site: Site, name_label: str) -> str:
    return next(vm.uuid for vm in site.pools[0].vms if vm.name_label == name_label)


@pytest.fixture
def vm_named(site: Site) -> Callable[[str], str]:
    """The uuid of a VM of pool 0."""
    return lambda name_label: named(site, name_label)


@pytest.fixture
def eventually() -> Callable[..., Any]:
    """Wait until a condition holds, asked again and again; TimeoutError after some seconds."""

    async def wait(holds: Callable[[], Any], seconds: float = 10) -> None:
        deadline = time.monotonic() + seconds
        while not (await found if inspect.isawaitable(found := holds()) else found):
            if time.monotonic() > deadline:
                raise TimeoutError
            await asyncio.sleep(0.02)

    return wait


@pytest.fixture
def ask() -> Callable[..., Any]:
    """What the simulator itself says of a pool, or is told to do: ``/_sim/<path>``."""

    def request(pool: SimulatedPool, path: str, **order: Any) -> Any:
        body = json.dumps(order).encode() if order else None
        with urllib.request.urlopen(f"{pool.url}/_sim/{path}", data=body, timeout=30) as answer:
            return json.loads(answer.read())

    return request
