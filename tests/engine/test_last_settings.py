"""What a target is given at the very end."""

import asyncio
from typing import Any

from xo_warmig.model.phases import Phase
from xo_warmig.model.vm import GuestAddress, Vif

ADDRESSED = Vif(
    uuid="vif-1",
    device="0",
    mac="00:16:3e:00:00:01",
    mtu=1500,
    network="net-1",
    ipv4=GuestAddress(mode="Static", address="192.0.2.7/24"),
)


def test_addresses_are_set_when_the_tools_were_seen_to_be_able_to(play: Any) -> None:
    """They say so a moment after they say that they are there."""

    async def body(scene: Any) -> None:
        world, refusals = scene.world, [1, 2]
        world.vm.extra["vifs"] = [ADDRESSED]

        def not_yet() -> None:
            if refusals:
                refusals.pop()
                raise world.refusal("VM_LACKS_FEATURE")

        world.hooks["target.set_guest_addresses"] = not_yet
        migration = await scene.start()
        await scene.ended_well(migration)
        assert world.trace.count("target.set_guest_addresses") == 3
        assert world.trace.index("target.is_booted") < world.trace.index("target.set_guest_addresses")
        assert world.the_target().addresses == {"0": "192.0.2.7/24"}
        assert "ADDRESSES_NOT_SET" not in scene.codes(migration)

    play(body)


def test_addresses_that_cannot_be_set_are_told(play: Any) -> None:
    """And hold up nothing."""

    async def body(scene: Any) -> None:
        world = scene.world
        world.vm.extra["vifs"] = [ADDRESSED]

        def refuse() -> None:
            raise world.refusal("VM_LACKS_FEATURE")

        world.hooks["target.set_guest_addresses"] = refuse
        migration = await scene.start()
        await scene.ended_well(migration)
        assert "ADDRESSES_NOT_SET" in scene.codes(migration)

    play(body)


def test_a_target_that_a_person_is_to_look_at_has_its_addresses(play: Any) -> None:
    """Before the commit, which may be days away; where they cannot be set that is told once."""

    async def body(scene: Any) -> None:
        world = scene.world
        world.vm.extra["vifs"] = [ADDRESSED]
        world.always["target.set_guest_addresses"] = world.refusal("LICENCE_RESTRICTION")
        migration = await scene.start(commit="manual")
        await scene.engine.outcome(migration)
        while scene.engine.report(migration).phase is not Phase.AWAITING_COMMIT:
            await asyncio.sleep(1)
        assert "target.set_guest_addresses" in world.trace
        await scene.engine.commit(migration)
        await scene.ended(migration)
        assert world.trace.count("target.set_guest_addresses") == 2
        assert scene.codes(migration).count("ADDRESSES_NOT_SET") == 1

    play(body)


def test_a_target_that_is_not_started_is_given_no_address(play: Any) -> None:
    """No tools run in it. Nothing is asked of one without, either."""

    async def body(scene: Any) -> None:
        world = scene.world
        await scene.ended_well(await scene.start())
        assert not {"target.set_guest_addresses", "target.allow_caching"} & set(world.trace)

    play(body)

    async def not_started(scene: Any) -> None:
        scene.world.vm.extra["vifs"] = [ADDRESSED]
        await scene.ended_well(await scene.start(start_destination_vm=False))
        assert "target.set_guest_addresses" not in scene.world.trace

    play(not_started)


def test_caching_is_allowed_as_on_the_source(play: Any) -> None:
    """Once nothing fills the disks any more."""

    async def body(scene: Any) -> None:
        world = scene.world
        world.source.caches = True
        await scene.ended_well(await scene.start())
        assert world.the_target().cached == ["0", "1"]

    play(body)


def test_caching_that_is_refused_is_told(play: Any) -> None:
    """And holds up nothing."""

    async def body(scene: Any) -> None:
        world = scene.world
        world.source.caches = True
        world.always["target.allow_caching"] = world.refusal("LICENCE_RESTRICTION")
        migration = await scene.start()
        await scene.ended_well(migration)
        assert "CACHING_LEFT_OFF" in scene.codes(migration)

    play(body)
