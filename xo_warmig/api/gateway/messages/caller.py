"""Who calls on one connection, as upstream tells when it is asked."""

from xo_warmig.api.gateway.messages.frame import Frame
from xo_warmig.api.gateway.messages.identity import WHO, Standing, after, user_of
from xo_warmig.api.gateway.messages.questions import Answer, LegGone, Questions
from xo_warmig.api.session import Session


class Caller:
    """Keeps ``session``, by which notifications are given: who is not surely somebody is told nothing.

    Nobody is an administrator by it. Who is one may change upstream without a word on this connection, so each call asks; and what
    administrators alone are told of is no notification of xo-server's.
    """

    def __init__(self, upstream: Questions, session: Session) -> None:
        self._upstream = upstream
        self._session = session
        self._standing = Standing.NOBODY
        self._turn = 0

    async def ask(self) -> Answer | None:
        """Ask now, behind what the client sent so far, as a call there would be judged; None: nobody has signed in.

        Raises:
            LegGone.
        """
        return None if self._standing is Standing.NOBODY else await self._upstream.ask(WHO)

    def passed(self, method: str, answer: Frame) -> bool:
        """Take note of an answer to a sign-in or sign-out; whether ``settle`` has to follow."""
        succeeded = answer.result is not None
        self._standing = after(self._standing, method, succeeded=succeeded)
        if succeeded:
            self._turn += 1
            self._session.sign_out()
        return succeeded and self._standing is Standing.SOMEBODY

    async def settle(self) -> None:
        """Learn who it is now."""
        turn = self._turn
        try:
            user = user_of((await (await self._upstream.ask(WHO))).result)
        except LegGone:
            return
        if user is not None and turn == self._turn:
            self._session.sign_in(user.id, is_admin=False, expires_ms=None)
