"""What all routes work with: who asks, the methods of the API, lists, and actions."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from xo_warmig.api import xo_errors
from xo_warmig.api.admission import Admission
from xo_warmig.api.invocation import Context, arguments, invoke
from xo_warmig.api.method import Services
from xo_warmig.api.rest.actions import Actions
from xo_warmig.api.rest.answers import BASE, Malformed, accepted, answer, refusal
from xo_warmig.api.rest.authentication import SignsIn
from xo_warmig.api.rest.listing import flag, item, table, wanted
from xo_warmig.api.rest.requests import body_of, while_there
from xo_warmig.api.rest.streaming import Stream, Streams
from xo_warmig.api.session import Session
from xo_warmig.api.state_file import to_json
from xo_warmig.xo.objects import XoObject

Body = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True)
class Desk:
    """``admission`` knows where requests come from. ``patience_seconds``: how long who follows something may take nothing."""

    services: Services
    actions: Actions
    callers: SignsIn
    admission: Admission
    streams: Streams
    patience_seconds: float

    def route(self, path: str, body: Body, method: str = "GET") -> Route:
        """For administrators."""

        async def run(request: Request) -> Response:
            is_admin = False
            try:
                if method != "GET" and not self.admission.is_same_origin(request.scope):
                    raise Malformed("a page of another origin may change nothing here", 403)
                request.state.session = await self.callers.session_of(request, self.admission.address(request.scope))
                is_admin = True
                return await body(request)
            except Exception as error:
                return refusal(error, request=f"{request.method} {request.url.path}", is_admin=is_admin)

        return Route(path, run, methods=[method])

    async def call(self, request: Request, method: str, params: dict[str, Any]) -> Any:
        """A method of the API, on behalf of who asks, whether or not somebody waits. Raises XoError."""
        services, session = self.services, request.state.session
        return await invoke(services.methods[method], Context(services, session), params)

    async def act(
        self,
        request: Request,
        method: str,
        params: dict[str, Any],
        *,
        name: str,
        object_id: str,
        object_type: str,
        done: Callable[[Any], Response] = lambda _: Response(status_code=204),
    ) -> Response:
        """A method as an action: 202 and its task; with ``sync=true`` what ``done`` makes of its result, once it has ended."""
        waits = flag(request.query_params, "sync")
        arguments(self.services.methods[method], dict(params))  # what is wrong with them is said at once
        session: Session = request.state.session
        id = self.actions.run(
            self.call(request, method, params),
            name=f"REST API: {name}",
            objectId=object_id,
            objectType=object_type,
            params={key: value for key, value in params.items() if key != "id"},
            userId=session.user_id,
        )
        if not waits:
            return accepted(id)
        return done(await while_there(request.receive, self.actions.result(id)))

    async def listed(self, request: Request, objects: Iterable[XoObject], name: str) -> Response:
        """Those of a list, whose objects stand below ``name``, that are asked for, in the form that is asked for."""
        asked = wanted(request.query_params)
        found = await self.services.chooser.chosen(objects, asked.filter, asked.limit)
        items = (item(each, f"{BASE}/{name}", asked.fields) for each in found)
        if asked.ndjson:
            return StreamingResponse((to_json(each) + "\n" for each in items), media_type="application/x-ndjson")
        if asked.markdown:
            return Response(table(items), media_type="text/markdown")
        return answer(list(items))

    async def objects(self, kind: str) -> list[XoObject]:
        """All of a type."""
        return [each for each in await self.services.collection.objects() if each["type"] == kind]

    async def one(self, kind: str, id: str) -> XoObject:
        """Raises XoError 1."""
        for each in await self.objects(kind):
            if each["id"] == id:
                return each
        raise xo_errors.no_such_object(id, kind)

    def stream(self, request: Request, pieces: AsyncGenerator[str, None], media_type: str) -> Response:
        """An answer without an end. Raises Malformed: its address has too many."""
        full = self.admission.full(request.state.session.address)
        if full is not None:
            raise Malformed(full.reason, full.status)
        if request.method == "HEAD":
            return Response(media_type=media_type)
        return Stream(self.streams, pieces, media_type=media_type, patience_seconds=self.patience_seconds)


async def params_of(request: Request, names: Mapping[str, str]) -> dict[str, Any]:
    """The body's members under the names that a method has for them. Raises Malformed for others, ClientGone."""
    body = await body_of(request)
    unknown = [name for name in body if name not in names]
    if unknown:
        raise Malformed(f"{', '.join(sorted(unknown))}: not known here; {_known(list(names))}", 422)
    return {names[name]: value for name, value in body.items()}


def _known(names: Sequence[str]) -> str:
    return f"known are {', '.join(names)}" if names else "nothing is"
