"""Which pages of other origins may call from a browser (CORS). Cookies open nothing: whoever calls sends a key."""

from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from typing import Any

from starlette.middleware.cors import CORSMiddleware

Message = MutableMapping[str, Any]
App = Callable[[Message, Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]], Awaitable[None]]
#: What people sign in to is for pages of its own.
_FOR_PEOPLE = ("/admin", "/portal")


def open_to(origins: Sequence[str], application: App) -> App:
    """The application, with its preflight requests answered for these origins; `*` stands for all, as in LiteLLM."""
    if not origins:
        return application
    for_pages = CORSMiddleware(
        application, allow_origins=origins, allow_methods=["*"], allow_headers=["*"], expose_headers=["*"]
    )

    async def chosen(
        scope: Message, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
    ) -> None:
        if scope["type"] != "http" or scope["path"].startswith(_FOR_PEOPLE):
            await application(scope, receive, send)
        else:
            await for_pages(scope, receive, send)

    return chosen
