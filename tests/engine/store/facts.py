"""Facts to keep: a migration that a test made up, and one that the engine went through."""

from typing import Any

from tests.engine.fake_pools import FakePools
from tests.engine.virtual_time import VirtualClock, run_virtual
from tests.engine.world import World
from xo_warmig.engine.engine import Engine
from xo_warmig.errors import PoolError
from xo_warmig.model.events import Planned, RecordedEvent
from xo_warmig.model.plans import MigrationPlan
from xo_warmig.model.requests import WarmMigrationRequest
from xo_warmig.model.vm import Disk, PowerState, Vm

REQUEST = WarmMigrationRequest(vm="vm-1", sr="sr-target", start_destination_vm=True, delete_source_vm=False)


def planned(user: str = "admin") -> Planned:
    """A VM with two disks."""
    disks = [
        Disk(
            vdi=f"disk-{number}",
            sr="sr-source",
            device=str(number),
            mode="RW",
            bootable=number == 0,
            unpluggable=True,
            virtual_size_bytes=1 << 41,
            physical_bytes=1 << 30,
            name_label=f"disk {number}",
            name_description="",
        )
        for number in range(2)
    ]
    vm = Vm(
        uuid="vm-1",
        pool="pool-1",
        pool_name="north",
        name_label="mail",
        power_state=PowerState.RUNNING,
        is_a_template=False,
        is_a_snapshot=False,
        is_control_domain=False,
        current_operations=[],
        blocked_operations={},
        tools=True,
        ha_restart_priority="",
        auto_poweron=False,
        memory_static_max_bytes=1 << 30,
        other_config={},
        disks=disks,
        cd_drives=[],
        vifs=[],
        networks={},
        snapshots=[],
    )
    plan = MigrationPlan(
        vm=vm,
        source_pool="pool-1",
        source_pool_name="north",
        target_pool="pool-2",
        target_pool_name="south",
        srs={disk.vdi: "sr-target" for disk in disks},
        networks={},
        zeroed_srs=[],
    )
    return Planned(request=REQUEST, user=user, plan=plan)


def played(*, fails: bool = False) -> list[RecordedEvent]:
    """All facts of a migration between two pools in memory, to its good end or to its failure."""

    async def body() -> list[RecordedEvent]:
        world = World()
        if fails:
            world.fail("source.shut_down", error=PoolError("no", code="SHUTDOWN_REFUSED"))
        pools: Any = FakePools(world)
        engine = Engine(pools, clock=VirtualClock(), streams=world.streams)
        await engine.open()
        migration = (await engine.start(REQUEST, user="admin")).id
        while engine.report(migration).finished is None:
            await VirtualClock().sleep(1)
        await engine.close()
        return engine.events(migration)

    facts: list[RecordedEvent] = run_virtual(body())
    return facts
