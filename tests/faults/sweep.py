"""Sweeps: the points of good migrations, a choice among them by a seed, and many struck migrations side by side."""

import asyncio
import random
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

from tests.faults.choosing import SEED, Point, points_of
from tests.faults.incidents import incident_of
from tests.faults.points import numbered
from tests.faults.rules import assert_rules
from tests.faults.scene import LOST, Migration, Scene, Variant, scene_of
from tests.faults.servers import Nursery
from tests.faults.words import CANCEL, COMMIT, CUT_OVER, PAUSE, RESUME, TAKE_BACK

LANES = 4  # migrations at once: two cores, and much of each is waiting
SCENE_VMS = 8  # a pool with more takes longer to tell of them
STRANDS = 2  # pairs of pools at once, where each migration needs a pair to itself

_KEPT = {"startDestinationVm": True, "deleteSourceVm": False}
_UNCOMPARED = {"verify": "none"}  # where reading back is not the point
_NEVER_ENDING = 1_000_000
_DELETED = {"startDestinationVm": True, "deleteSourceVm": True} | _UNCOMPARED
# Refusals that trying again does not help.
_NO_START = {
    "kind": "fail",
    "match": "VM.start",
    "times": _NEVER_ENDING,
    "error": ["HOST_NOT_ENOUGH_FREE_MEMORY", "1", "0"],
}
_NO_STATE = {
    "kind": "fail",
    "match": "VM.set_platform",
    "times": _NEVER_ENDING,
    "error": ["OPERATION_NOT_ALLOWED", "simulated"],
}

VARIANTS = {
    variant.name: variant
    for variant in (
        Variant(name="started", parameters=_KEPT),
        Variant(
            name="left-halted",
            parameters={"startDestinationVm": False, "deleteSourceVm": False} | _UNCOMPARED,
            user_snapshot=True,
        ),
        Variant(name="by-blocks", parameters=_KEPT, nbd=True),
        Variant(name="by-blocks-refused", parameters=_KEPT, nbd=True, expected=("failed",), faults=(_NO_STATE,)),
        Variant(name="verified", parameters=_KEPT | {"verify": "full"}),
        Variant(name="deleted", parameters=_DELETED),
        # Both go back with the source halted: one when the target's start is refused, one before it was asked for.
        Variant(name="refused-kept", parameters=_KEPT, expected=("failed",), faults=(_NO_START,)),
        # What people say must outlive the server that took it.
        Variant(
            name="cancelled",
            parameters=_KEPT | _UNCOMPARED | {"cutover": "hold"},
            words=(CANCEL,),
            expected=("cancelled",),
        ),
        Variant(name="held", parameters=_KEPT | _UNCOMPARED | {"cutover": "hold"}, words=(PAUSE, RESUME, CUT_OVER)),
        Variant(
            name="committed",
            parameters=_DELETED | {"commit": "manual"},
            words=(COMMIT,),
        ),
        Variant(
            name="taken-back",
            parameters=_KEPT | _UNCOMPARED | {"commit": "manual"},
            words=(TAKE_BACK,),
            expected=("failed",),
        ),
        Variant(
            name="refused-dropped", parameters=_KEPT | {"onFailure": "drop"}, expected=("failed",), faults=(_NO_STATE,)
        ),
    )
}


class Result(msgspec.Struct, frozen=True):
    """What came of one struck migration. ``failure`` is empty when all rules hold; ``reached``: all strikes were."""

    point: Point
    phase: str
    reached: bool
    failure: str
    seconds: dict[str, float]


async def good_points(nursery: Nursery, directory: Path, variants: Iterable[Variant]) -> dict[str, list[Point]]:
    """The points of one migration of each variant that nothing strikes, and that keeps all rules."""
    found = {}
    async with scene_of(nursery, directory, len(VARIANTS)) as scene:
        for variant in variants:
            await scene.arm(variant)
            migration = scene.migration(variant)
            told = await migration.carry_out()
            assert_rules(told.story)
            migration.server.forget()
            found[variant.name] = points_of(variant.name, told.passed[0])
    return found


async def strike(migration: Migration, point: Point) -> Result:
    """One migration whose server is killed at the point, started again, and left to finish."""
    try:
        incident = incident_of(point.incident, point.strikes[0])
        told = await migration.carry_out(point.strikes, incident)
        happened = incident is None or await incident.happened(migration)
    except (*LOST, RuntimeError, OSError) as error:
        return Result(point, "lost", True, f"{type(error).__name__}: {error}\n{_tail(migration)}", migration.seconds)
    finally:
        await migration.server.end()
    failure = ""
    try:
        assert_rules(told.story)
    except AssertionError as broken:
        failure = f"{broken}"
    migration.server.forget()
    return Result(point, told.story.phase, happened and told.struck == len(point.strikes), failure, told.seconds)


async def sweep(nursery: Nursery, directory: Path, points: Sequence[Point], *, lanes: int = LANES) -> list[Result]:
    """All points, some at once; those of a variant together, as its faults are the pool's.

    Incidents happen to pools, which a migration then has to itself: those go side by side in scenes of their own.
    """
    shared = [point for point in points if not point.incident]
    alone = [point for point in points if point.incident]
    results = await _in_scenes(nursery, directory / "shared", shared, lanes)
    strands = [alone[number::STRANDS] for number in range(STRANDS)]
    for found in await asyncio.gather(
        *(_in_scenes(nursery, directory / str(number), strand, 1) for number, strand in enumerate(strands))
    ):
        results += found
    return results


async def _in_scenes(nursery: Nursery, directory: Path, points: Sequence[Point], lanes: int) -> list[Result]:
    results: list[Result] = []
    by_variant: dict[str, list[Point]] = defaultdict(list)
    for point in points:
        by_variant[point.variant].append(point)
    for variant, members in by_variant.items():
        for begin in range(0, len(members), SCENE_VMS):
            some = members[begin : begin + SCENE_VMS]
            async with scene_of(nursery, directory / f"{variant}-{begin}", len(some)) as scene:
                await scene.arm(VARIANTS[variant])
                results += await _in_lanes(scene, some, lanes)
    return results


async def _in_lanes(scene: Scene, points: Sequence[Point], lanes: int) -> list[Result]:
    results: list[Result] = []
    waiting = iter(points)

    async def lane() -> None:
        for point in waiting:
            result = await strike(scene.migration(VARIANTS[point.variant]), point)
            results.append(result)
            word = "BROKEN" if result.failure else result.phase if result.reached else f"{result.phase}, not reached"
            print(f"{sum(result.seconds.values()):.2f} s {word} {point}", flush=True)
            if result.failure:
                print(f"  {result.failure}", flush=True)  # now: whoever ends the sweep early sees it too

    await asyncio.gather(*(lane() for _ in range(min(lanes, len(points)))))
    return results


async def twice(nursery: Nursery, directory: Path, first: list[Point], seconds: int) -> list[Point]:
    """Pairs: each of these points, and so many of those that the server passes which recovers from it."""
    chance = random.Random(SEED)
    found: list[Point] = []
    for number, point in enumerate(first):
        async with scene_of(nursery, directory / f"recovering-{number}", 1) as scene:
            await scene.arm(VARIANTS[point.variant])
            migration = scene.migration(VARIANTS[point.variant])
            told = await migration.carry_out(point.strikes)
            assert_rules(told.story)
            assert told.struck, f"{point} was not reached"
            recovering = numbered(told.passed[1])
            assert recovering, f"the server that recovers from {point} passes no point"
            some = chance.sample(recovering, min(seconds, len(recovering)))
            found += [Point(point.variant, (*point.strikes, second)) for second in some]
    return found


def summary(results: Sequence[Result], began: float) -> str:
    """Counts, times, and every failure with the way to repeat it."""
    ends = Counter(result.phase for result in results)
    parts: Counter[str] = Counter()
    for result in results:
        parts.update(result.seconds)
    count = len(results)
    lines = [f"{count} points in {time.monotonic() - began:.0f} s: {dict(ends)}"]
    lines += [f"  not reached: {result.point}" for result in results if not result.reached]
    lines.append("  seconds each: " + ", ".join(f"{name} {seconds / count:.2f}" for name, seconds in parts.items()))
    broken = [result for result in results if result.failure]
    lines.append(f"{len(broken)} failures")
    for result in broken:
        lines.append(f"{result.point}\n  {result.failure}\n  repeat: python -m tests.faults '{result.point}'")
    return "\n".join(lines)


def _tail(migration: Migration) -> str:
    """The end of the server's log."""
    log = migration.server.log
    return log.read_text(errors="replace")[-1500:] if log.exists() else ""
