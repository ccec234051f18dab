"""What can go wrong between a client and a server."""

from typing import Any

from xo_warmig.errors import WarmigError


class CallFailed(WarmigError):
    """The server answered a call with an error.

    ``rpc_code`` and ``rpc_message`` are JSON-RPC's (Xen Orchestra's table), ``data`` what came with them. ``code``, ``message``,
    ``evidence`` and ``remedy`` are the server's own where it gave them; without them ``code`` is ``XO_<number>``.
    """

    def __init__(self, method: str, rpc_code: int, message: str, data: Any = None) -> None:
        own = data if isinstance(data, dict) else {}
        code, evidence, remedy = own.get("code"), own.get("evidence"), own.get("remedy")
        super().__init__(
            _said(message, own),
            code=code if isinstance(code, str) else f"XO_{rpc_code}".replace("-", "MINUS_"),
            evidence=evidence if isinstance(evidence, dict) else {},
            remedy=remedy if isinstance(remedy, str) else "",
        )
        self.method = method
        self.rpc_code = rpc_code
        self.rpc_message = message
        self.data = data


def _said(message: str, own: dict[str, Any]) -> str:
    """The server's own sentence; else XO's, with what is wrong with which parameter."""
    if isinstance(own.get("message"), str):
        return str(own["message"])
    wrong = [one for one in own.get("errors") or [] if isinstance(one, dict)]
    details = [f"{one.get('instancePath') or '/'} {one.get('message')}" for one in wrong]
    return f"{message}: {'; '.join(details)}" if details else message


class UnexpectedAnswer(WarmigError):
    """What the server said is not of the type that it was to be read as. ``evidence``: ``method``."""

    default_code = "UNEXPECTED_ANSWER"


class ConnectionLost(WarmigError):
    """The server cannot be reached, or the connection ended while something was awaited. ``evidence``: ``url``.

    Codes: SERVER_UNREACHABLE and CONNECTION_LOST, which may pass; BAD_URL; BAD_MESSAGE, the peer speaks something else; TOO_SLOW, the
    notifications were not read.
    """

    default_code = "CONNECTION_LOST"
    retryable = True
