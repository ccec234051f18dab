"""The rules of SM's garbage collector (SM:libs/sm/cleanup.py): which image goes next, and how its blocks move."""

from collections.abc import Callable
from enum import StrEnum
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from xo_warmig.simulator.storage.chains import ChainStore


class StepKind(StrEnum):
    """``delete``: hidden and without children. ``merge``: hidden, into the parent whose only child it is.
    ``leaf``: visible and its parent's only child; the parent's blocks and its own become one."""

    DELETE = "delete"
    MERGE = "merge"
    LEAF = "leaf"


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One step. Afterwards the image ``gone`` is no more, and each of ``moved`` has ``parent`` as its parent."""

    kind: StepKind
    gone: str
    moved: list[str] = []
    parent: str | None = None


def next_step(store: "ChainStore", allowed: Callable[[str], bool]) -> Step | None:
    """What is to be done next, if anything: deletions first, then inner merges, then leaves."""
    with store.lock:
        children: dict[str, list[str]] = {uuid: [] for uuid in store.images}
        for uuid, image in store.images.items():
            if image.parent is not None:
                children[image.parent].append(uuid)
        steps = [step for uuid in store.images if allowed(uuid) and (step := _step(store, uuid, children)) is not None]
    return min(steps, key=lambda step: list(StepKind).index(step.kind), default=None)


def _step(store: "ChainStore", uuid: str, children: dict[str, list[str]]) -> Step | None:
    image = store.images[uuid]
    if image.hidden and not children[uuid]:
        return Step(kind=StepKind.DELETE, gone=uuid)
    parent = image.parent
    if parent is None or len(children[parent]) != 1 or not store.images[parent].hidden:
        return None
    if image.hidden:
        return Step(kind=StepKind.MERGE, gone=uuid, moved=children[uuid], parent=parent)
    return Step(kind=StepKind.LEAF, gone=parent, moved=[uuid], parent=store.images[parent].parent)


def merge(store: "ChainStore", step: Step) -> None:
    """Do it. A step that was overtaken by a snapshot or a deletion in between does nothing."""
    match step.kind:
        case StepKind.DELETE:
            with store.lock:
                if store.exists(step.gone) and not store.children(step.gone):
                    store.drop(step.gone)
                    store.save()
        case StepKind.MERGE:
            assert step.parent is not None
            _merge_into_parent(store, step.gone, step.parent)
        case StepKind.LEAF:
            _take_over(store, step.moved[0], step.gone)


def _merge_into_parent(store: "ChainStore", uuid: str, parent: str) -> None:
    """Readers see the same bytes throughout: for every block copied, the upper image still answers until it is dropped."""
    if not (store.exists(uuid) and store.children(parent) == [uuid]):
        return
    upper, lower = store.files[uuid], store.files[parent]
    for block in sorted(upper.blocks):
        lower.copy_block(block, upper)
    with store.lock:
        store.images[parent].size_bytes = max(store.images[parent].size_bytes, store.images[uuid].size_bytes)
        for child in store.children(uuid):
            store.images[child].parent = parent
        store.drop(uuid)
        store.save()


def _take_over(store: "ChainStore", leaf: str, parent: str) -> None:
    """The leaf's writers wait meanwhile, as SM pauses the datapath for the last round."""
    with store.pen(leaf):
        if not (store.exists(leaf) and store.parent(leaf) == parent and store.children(parent) == [leaf]):
            return
        if store.children(leaf):
            return
        upper, lower = store.files[leaf], store.files[parent]
        for block in sorted(upper.blocks):
            lower.copy_block(block, upper)
        with store.lock:
            image = store.images.pop(parent)
            image.hidden, image.size_bytes = False, store.images[leaf].size_bytes
            store.images[leaf], store.files[leaf] = image, store.files.pop(parent)
            store.save()
        upper.unlink()
