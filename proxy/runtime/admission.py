"""Who calls, whether they may, and which deployment gets the call."""

from dataclasses import replace
from typing import TYPE_CHECKING

from keys.grants import Grant, ScopePolicy
from proxy.runtime import defaults, errors, permit
from proxy.runtime.call import Call
from proxy.runtime.catalog import Target
from proxy.runtime.fallbacks import Course
from proxy.runtime.held import Admission
from proxy.runtime.journal import BooksUnavailable
from proxy.runtime.served import Served
from proxy.runtime.streams import Stream

if TYPE_CHECKING:
    from proxy.runtime.app import Gateway


async def admit(served: Served, course: Course) -> Admission:
    """Who calls, whether they may, and which deployment gets this attempt. Raises 400, 401 or 403."""
    gateway, path = served.gateway, served.request.path
    call, attempt = course.call, course.attempt
    grant = await gateway.grants.get(served.token)
    organization = grant.owners.organization_id
    tags = tuple(dict.fromkeys((*grant.tags, *call.tags)))
    customer, policies = await _policies(gateway, grant, call, tags, path)
    try:
        permit.check_params(grant, call.body)
        model, targets = await permitted(gateway, grant, policies, call, path)
        if customer and customer.region:
            model, targets = await _in_region(gateway, grant, policies, call, path, customer, (model, targets))
        if call.fallbacks:
            others = [following.model for following in call.fallbacks]
            permit.check_fallbacks(grant, policies, others, await gateway.grants.catalog())
        if gateway.config.rules.tag_filtering:
            targets = permit.for_tags(targets, tags, model)
    except errors.GatewayError:
        await gateway.holds.refuse_stale(organization, policies)
        raise
    targets = permit.outside(targets, course.spent)
    target = targets[(gateway.turn() + attempt) % len(targets)]
    return Admission(
        request_id=served.request_id,
        grant=grant,
        policies=policies,
        customer_id=int(customer.scope.partition(":")[2]) if customer else None,
        tags=tags,
        call=defaults.applied(call if call.model == model else replace(call, model=model), target),
        target=target if call.timeout is call.retries is None else _as_wished(target, call),
        attempt=attempt,
    )


async def _policies(
    gateway: "Gateway", grant: Grant, call: Call, tags: tuple[str, ...], path: str
) -> tuple[ScopePolicy | None, tuple[ScopePolicy, ...]]:
    """The end user of a call, and its whole chain. Raises 400, 401 or 403."""
    if not (call.customer or tags):
        return None, grant.chain
    organization = grant.owners.organization_id
    if not gateway.grants.knows(organization, call.customer, tags):
        # Whoever is named for the first time gets a row, for good: not by a call that the key may not make at all, and
        # not as an older state of the key has it.
        await gateway.grants.refuse_outdated(grant.chain)
        await permitted(gateway, grant, grant.chain, call, path)
    customer = None
    if call.customer:
        customer = await gateway.grants.customer(organization, call.customer, grant.end_user_budget)
    named = (customer,) if customer else ()
    return customer, (*grant.chain, *named, *await gateway.grants.tags(organization, tags))


async def _in_region(
    gateway: "Gateway", grant: Grant, policies: tuple[ScopePolicy, ...], call: Call, path: str, customer: ScopePolicy,
    found: tuple[str, tuple[Target, ...]],
) -> tuple[str, tuple[Target, ...]]:  # fmt: skip
    """Deployments where the end user's calls may go; of the end user's default model if the one asked for has none."""
    model, targets = found
    inside = permit.in_region(targets, customer.region)
    if not inside and customer.default_model:
        instead = replace(call, model=customer.default_model)
        model, targets = await permitted(gateway, grant, policies, instead, path)
        inside = permit.in_region(targets, customer.region)
    if not inside:
        raise errors.forbidden(
            f"customer not allowed to access model. {customer.label} may only be served in '{customer.region}', where "
            f"'{model}' has no deployment (litellm_params.region_name)",
            "customer_model_access_denied",
            "model",
        )
    return model, inside


def _as_wished(target: Target, call: Call) -> Target:
    """As patient as the client wishes, and never more than the deployment allows."""
    return replace(
        target,
        timeout_seconds=min(target.timeout_seconds, call.timeout or target.timeout_seconds),
        max_retries=target.max_retries if call.retries is None else call.retries,
    )


async def permitted(
    gateway: "Gateway", grant: Grant, policies: tuple[ScopePolicy, ...], call: Call, path: str
) -> tuple[str, tuple[Target, ...]]:
    """The model's name and the deployments that may take the call. Raises 400, 401 or 403.

    Nobody is refused by a catalog that something was added to meanwhile.
    """
    asked, rules = permit.resolve_alias(grant, call.model), gateway.config.rules
    for last in (False, True):
        catalog = await gateway.grants.catalog()
        try:
            model = permit.in_full(grant, policies, asked, catalog)
            permit.check_call(grant, policies, model, call, path, gateway.clock(), rules, catalog)
            targets = await gateway.grants.targets(model, grant.owners.team_id, grant.platform_epoch)
            return model, permit.callable_targets(targets, model)
        except errors.GatewayError as refusal:
            if last or refusal.param != "model" or not await gateway.grants.has_news():
                raise
    raise AssertionError("the second round returns or raises")


async def cut_if_refused(gateway: "Gateway", stream: Stream) -> None:
    """Judge an open stream by the policies as they are now; one that would not be admitted any more is cut."""
    try:
        grant = await gateway.grants.get(stream.token)
        organization = grant.owners.organization_id
        policies = (*grant.chain, *await gateway.grants.tags(organization, stream.tags))
        customer = await gateway.grants.known_customer(organization, stream.customer) if stream.customer else None
        policies = (*policies, customer) if customer else policies
        permit.check_status(grant, policies, gateway.clock())
    except errors.GatewayError as refusal:
        await gateway.streams.cut(stream, refusal)
    except BooksUnavailable:
        return
