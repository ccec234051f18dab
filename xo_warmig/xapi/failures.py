"""The one place where what XAPI and the network say becomes an error of ours."""

import http.client
import xmlrpc.client
from collections.abc import Mapping, Sequence
from typing import Any

import XenAPI

from xo_warmig.errors import NoSuchObject, PoolError, PoolUnreachable, WarmigError

SESSION_INVALID = "SESSION_INVALID"
TASK_LOST = "TASK_LOST"
# ocaml/xapi/vhd_tool_wrapper.ml, of a disk or a base whose image is no VHD.
_NO_DIFFERENCES = "ompute differences"

# What breaks when a pool cannot be talked to, as opposed to a pool that answers with a refusal.
NETWORK_ERRORS = (OSError, http.client.HTTPException, xmlrpc.client.ProtocolError, xmlrpc.client.ResponseError)

_REMEDIES = {
    "SESSION_AUTHENTICATION_FAILED": "correct the user name or the password of this server",
    "RBAC_PERMISSION_DENIED": "connect this server with an account that has the role pool-admin",
    "LICENCE_RESTRICTION": "this edition of the pool's software lacks the feature",
    "NO_HOSTS_AVAILABLE": "free memory on a host of the pool, or enable one that sees the storage and the network of the VM",
    "HOST_NOT_ENOUGH_FREE_MEMORY": "free memory on a host of the pool",
    "VDI_IN_USE": "wait until whatever uses the disk lets it go, or stop it",
    "OTHER_OPERATION_IN_PROGRESS": "wait until the other operation is over, or cancel it",
    "OPERATION_BLOCKED": "remove the entry of the VM's blocked operations, if whoever set it agrees",
    "VM_BAD_POWER_STATE": "bring the VM to the power state that is expected",
    "SR_BACKEND_FAILURE_44": "free space on the storage repository",
    "SR_BACKEND_FAILURE_79": "the storage cannot make a disk of that size: choose an SR that keeps disks as qcow2",
    "SR_BACKEND_FAILURE_109": "the chain of snapshots is too long: remove snapshots and wait until the storage has coalesced",
    SESSION_INVALID: "try again: the pool's toolstack forgot our session, most often because it was restarted",
}


def from_details(details: Sequence[Any], *, call: str, pool: str) -> PoolError:
    """A refusal of XAPI: its code and parameters."""
    xapi = [str(part) for part in details] or ["INTERNAL_ERROR"]
    shown = ", ".join(xapi[1:])
    return PoolError(
        f"{pool or 'the pool'} refused {call}: {xapi[0]}" + (f" ({shown})" if shown else ""),
        code=xapi[0],
        evidence={"pool": pool, "call": call, "xapi": xapi},
        remedy=_REMEDIES.get(xapi[0], ""),
    )


def from_exception(error: Exception, *, call: str, pool: str, host: str, pool_uuid: str | None) -> WarmigError | None:
    """What a call raised, as an error of ours; None when it is no matter of pools (a bug of ours)."""
    match error:
        case WarmigError():
            return error
        case XenAPI.Failure():
            return from_details(error.details, call=call, pool=pool)
        case xmlrpc.client.Fault(
            faultCode=401
        ):  # how PyPI's XenAPI reports a lost session when it may not log in again
            return from_details([SESSION_INVALID], call=call, pool=pool)
        case xmlrpc.client.Fault():
            return from_details(["INTERNAL_ERROR", error.faultString], call=call, pool=pool)
        case _ if isinstance(error, NETWORK_ERRORS):
            return unreachable(pool=pool, host=host, pool_uuid=pool_uuid, why=describe(error))
    return None


def unreachable(*, pool: str, host: str, pool_uuid: str | None, why: str) -> PoolUnreachable:
    """A pool that does not answer."""
    name = f"the pool {pool} at {host}" if pool and pool != host else f"the pool at {host}"
    evidence = {"pool": pool or host, "host": host, "why": why}
    if pool_uuid:
        evidence["objectId"] = pool_uuid
    return PoolUnreachable(
        f"{name} does not answer: {why}",
        evidence=evidence,
        remedy="see that the pool's master is up and that its address can be reached from here",
    )


def no_such_object(cls: str, uuid: str, *, pool: str = "") -> NoSuchObject:
    """An object that a pool does not have."""
    where = f" on {pool}" if pool else ""
    return NoSuchObject(f"no such {cls}{where}: {uuid}", evidence={"id": uuid, "type": cls})


def export_refusal(words: str) -> tuple[str, str] | None:
    """Code and remedy of what xapi has no code for, by what it says of a failed export."""
    if _NO_DIFFERENCES not in words:
        return None
    remedy = (
        "the pool keeps the disk in another format than VHD: have it serve NBD and track the disk's changes (a network with the purpose "
        "nbd), or migrate the VM halted"
    )
    return "NO_DIFFERENCES_EXPORTED", remedy


def no_host(vm: str, reasons: Mapping[str, str], *, pool: str) -> PoolError:
    """No host of a pool could start a VM, and why not, by the hosts' names."""
    told = "; ".join(f"{host}: {reason}" for host, reason in reasons.items())
    code = "NO_HOSTS_AVAILABLE"
    return PoolError(
        f"no host of {pool or 'the pool'} could start the VM {vm} ({told})",
        code=code,
        evidence={"vm": vm, "pool": pool, "hosts": dict(reasons), "xapi": [code]},
        remedy=_REMEDIES[code],
    )


def describe(error: Exception) -> str:
    """A few words for what the network raised."""
    if isinstance(error, TimeoutError):
        return "it did not answer in time"
    if isinstance(error, xmlrpc.client.ProtocolError):
        return f"it answered HTTP {error.errcode} {error.errmsg}"
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return text or type(error).__name__


def code_of(error: BaseException) -> str:
    """XAPI's code of an error of a pool, "" for any other."""
    return error.code if isinstance(error, PoolError) else ""


def parameters_of(error: PoolError) -> list[str]:
    """The parameters that XAPI gave with its code."""
    xapi = error.evidence.get("xapi")
    return [str(part) for part in xapi[1:]] if isinstance(xapi, list) else []
