"""Websockets to upstream, as the library opens them."""

from websockets.asyncio.client import connect


class Connect(connect):
    """A redirect is an answer, and the client's to follow: no message, and no password, goes where the configuration does not say."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        return exc
