"""`GET /v1/models`: what the key may use. Costs nothing, so it holds nothing."""

from typing import TYPE_CHECKING

import orjson

from keys.grants import Grant
from proxy.runtime import errors, permit, relay
from proxy.runtime.catalog import Catalog
from proxy.runtime.holds import StaleGrant
from proxy.runtime.identify import identify
from proxy.runtime.request import Request
from proxy.runtime.routes import MODEL, Route

if TYPE_CHECKING:
    from proxy.runtime.app import Gateway


async def serve(gateway: "Gateway", request: Request, route: Route, name: str) -> None:
    token = identify(request.headers, gateway.config.master_token, gateway.config.rules.key_header)
    grant = await current(gateway, token)
    permit.check_status(grant, grant.chain, gateway.clock())
    permit.check_route(grant, route, request.path, gateway.config.rules)
    catalog = await gateway.grants.catalog()
    names = permit.visible_models(grant, catalog)
    if route is MODEL and name not in names:
        message = f"The model '{name}' does not exist, or this key may not use it"
        raise errors.GatewayError(404, "not_found_error", message, "model")
    answer = (
        _entry(name, grant, catalog)
        if route is MODEL
        else {"object": "list", "data": [_entry(each, grant, catalog) for each in names]}
    )
    await relay.send_whole(request.send, 200, orjson.dumps(answer), {"content-type": "application/json"})


async def current(gateway: "Gateway", token: str) -> Grant:
    """The grant as it is now: without a hold, the announced versions are compared here."""
    grant = await gateway.grants.get(token)
    try:
        await gateway.holds.refuse_stale(grant.owners.organization_id, grant.chain)
    except StaleGrant as stale:
        gateway.grants.forget(stale.scopes)
        grant = await gateway.grants.get(token)
    return grant


def _entry(name: str, grant: Grant, catalog: Catalog) -> dict[str, object]:
    created = catalog.created.get(grant.aliases.get(name, name), 0)
    return {"id": name, "object": "model", "created": created, "owned_by": "latchkey"}
