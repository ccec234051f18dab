"""Who remembers our sessions on pools beyond the process, so that a successor can end them (R16)."""

from typing import Protocol


class SessionBook(Protocol):
    """Sessions by configured server. Durable when these return; called from threads, several at once."""

    def older(self, server_id: str) -> list[str]:
        """The references of sessions that earlier processes opened and that nobody saw closed."""
        ...

    def opened(self, server_id: str, session: str) -> None:
        """A session was opened; nothing was changed through it yet."""
        ...

    def closed(self, server_id: str, session: str) -> None:
        """A session is no more. One that is not known does not matter."""
        ...


class NoSessionBook:
    """Remembers nothing: for what changes nothing that must outlive the process."""

    def older(self, server_id: str) -> list[str]:
        return []

    def opened(self, server_id: str, session: str) -> None:
        return

    def closed(self, server_id: str, session: str) -> None:
        return
