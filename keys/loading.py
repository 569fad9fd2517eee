"""Reading grants: from rows of the whole chain to the frozen view that gateway workers cache."""

import hmac
from collections.abc import Iterable
from dataclasses import replace

from django.conf import settings

from keys import secrets
from keys.grants import Grant, ModelRate, Owners, ScopePolicy
from keys.models import MASTER_ID, RetiredSecret, VirtualKey
from teams.first_named import make_customer, make_tags
from teams.models import (
    Customer,
    Limits,
    Membership,
    Organization,
    OrganizationMembership,
    Platform,
    Tag,
    Terms,
    User,
)
from teams.tag_limits import tags_of


def load_grants(tokens: Iterable[str]) -> dict[str, Grant]:
    """Grants of the given tokens (SHA-256 hex). A token that is unknown, deleted or ill-sealed has none."""
    wanted = set(tokens)
    rows: dict[str, tuple[VirtualKey, RetiredSecret | None]] = {
        key.token: (key, None) for key in VirtualKey.objects.with_owners().filter(token__in=wanted, deleted_at=None)
    }
    # Even a query for nothing would cost as much as one for a row: it is long.
    if others := wanted - rows.keys():
        retired = RetiredSecret.objects.filter(token__in=others, key__deleted_at=None).with_owners()
        rows |= {r.token: (r.key, r) for r in retired}
    keys = [key for key, _ in rows.values()]
    members, places = _memberships(keys), _places(keys)
    # Read after the organizations' epochs: whoever holds in an epoch knows what the platform allowed when it began.
    platform = Platform.objects.get()
    return {
        token: grant_of(
            key,
            old,
            members.get((key.team_id, key.holder_id)),
            places.get((key.organization_id, key.holder_id)),
            platform,
        )
        for token, (key, old) in rows.items()
        if _is_sealed(key, old)
    }


def grant_of(
    key: VirtualKey, old: RetiredSecret | None, member: Membership | None, place: OrganizationMembership | None,
    platform: Platform,
) -> Grant:  # fmt: skip
    epoch = key.organization.epoch
    scopes: list[Limits] = [key.organization, *([place] if place else [])]
    if key.team is not None:
        scopes.append(key.team)
        scopes += [scope for scope in (member, key.project) if scope]
    person = None if _is_guest(key) else key.user
    payer = payer_of(key)
    if person is not None and key.team is None:
        scopes.append(person)
    return Grant(
        token=old.token if old else key.token,
        public_id=key.public_id,
        owners=Owners(
            organization_id=key.organization_id,
            key_id=key.pk,
            team_id=key.team_id,
            member_id=member.pk if member else None,
            user_id=key.user_id,
        ),
        zone=key.organization.timezone,
        chain=(
            *(policy_of(scope, epoch=epoch) for scope in scopes),
            *([_budgets_of(payer, epoch)] if payer else []),
            policy_of(key, epoch=epoch, owner=None if key.user in scopes else key.user or key.sponsor),
        ),
        platform=platform_policy(platform),
        platform_zone=platform.timezone,
        platform_epoch=platform.epoch,
        expires_at=key.expires_at,
        retires_at=old.valid_until if old else None,
        aliases={**((key.team and key.team.model_aliases) or {}), **(key.aliases or {})},
        tags=tuple(dict.fromkeys((*key.tags, *tags_of(key.team), *tags_of(key.project)))),
        allowed_routes=tuple(key.allowed_routes),
        output_cap_policy=key.output_cap_policy,
        budget_fallbacks=key.extras.get("budget_fallbacks") or {},
        enforced_params=tuple(key.enforced_params),
        end_user_budget=key.end_user_budget_id,
        is_admin=key.public_id == MASTER_ID or _is_admins(key, old),
        owner_deactivated=_is_out(key.user or key.sponsor, key.organization_id),
        user_public_id=key.user.public_id if key.user else "",
        team_public_id=key.team.public_id if key.team else "",
    )


def payer_of(key: VirtualKey) -> User | None:
    """Who pays for a team key's calls too, where people do: its owner or sponsor, if at home there."""
    if key.team is None or not settings.KEY_RULES.people_pay_for_teams:
        return None
    holder = key.user or key.sponsor
    return holder if holder and holder.organization_id in (None, key.organization_id) else None


def _budgets_of(person: User, epoch: int) -> ScopePolicy:
    """What a person pays for a team's calls, too: everything else about them is for the team to say."""
    own = policy_of(person, epoch=epoch)
    return replace(own, models=(), model_rates=(), rpm_limit=None, tpm_limit=None, parallel_limit=None)


def _is_out(holder: User | None, organization_id: int) -> bool:
    """Whether somebody is deactivated, or blocked where the key is: not by another organization than the own."""
    if holder is None:
        return False
    return not holder.is_active or (holder.blocked and holder.organization_id in (None, organization_id))


def _is_admins(key: VirtualKey, old: RetiredSecret | None) -> bool:
    """Whether it is a platform admin's own, whose secret is known to such alone."""
    user = key.user
    if user is None or key.team_id is not None or not _is_admin(user):
        return False
    others = (old or key).known_to.exclude(pk=user.pk)
    return not _is_guest(key) and all(_is_admin(other) and _is_let_in(other) for other in others)


def _is_let_in(user: User) -> bool:
    return user.is_active and not user.blocked and user.deleted_at is None


def _is_guest(key: VirtualKey) -> bool:
    return key.user is not None and key.user.organization_id not in (None, key.organization_id)


def _is_admin(user: User) -> bool:
    return user.is_superuser or user.role == User.Role.PROXY_ADMIN


def policy_of(limits: Limits, *, epoch: int, owner: User | None = None) -> ScopePolicy:
    """The policy of one scope, which reads as blocked if it was deleted; `owner` is whose change concerns it.

    `epoch` is the organization's, read no later than `limits`, whose windows a newer epoch may not know.
    """
    shared = limits.shared_budget
    return ScopePolicy(
        scope=limits.scope,
        label=f"{limits.scope_kind.value.replace('_', ' ')} '{limits}'",
        version=limits.version,
        epoch=epoch,
        blocked=limits.blocked or getattr(limits, "deleted_at", None) is not None,
        budgets=limits.budgets(),
        rpm_limit=limits.effective("rpm_limit"),
        tpm_limit=limits.effective("tpm_limit"),
        parallel_limit=limits.effective("max_parallel_requests"),
        models=tuple(limits.allowed_models),
        model_rates=_model_rates(limits),
        shared=(shared.scope, shared.version) if shared else None,
        ident=_ident(limits),
        owner=(owner.scope, owner.version) if owner else None,
        region=limits.allowed_region if isinstance(limits, Customer) else "",
        default_model=limits.default_model if isinstance(limits, Customer) else "",
    )


def platform_policy(platform: Platform) -> ScopePolicy | None:
    """None where it limits nothing: no call pays for asking it then."""
    if platform.sets_nothing:
        return None
    return policy_above(platform, epoch=platform.epoch, label="the platform", ident="all keys together")


def policy_above(row: Terms, *, epoch: int, label: str, ident: str) -> ScopePolicy:
    """The policy of what is above every organization; `epoch` is the platform's, read no later than `row`."""
    return ScopePolicy(
        scope=row.scope,
        label=label,
        version=row.version,
        epoch=epoch,
        budgets=row.budgets(),
        rpm_limit=row.rpm_limit,
        tpm_limit=row.tpm_limit,
        parallel_limit=row.max_parallel_requests,
        model_rates=_model_rates(row),
        ident=ident,
    )


def _ident(limits: Limits) -> str:
    if isinstance(limits, VirtualKey):
        return limits.token
    if isinstance(limits, Membership):
        return f"{limits.team.public_id}:{limits.user.public_id}"
    if isinstance(limits, OrganizationMembership):
        return f"{limits.organization.public_id}:{limits.user.public_id}"
    return str(limits.name if isinstance(limits, Tag) else getattr(limits, "public_id", limits))


def _model_rates(limits: Terms) -> tuple[ModelRate, ...]:
    rates = (
        ModelRate(model, values.get("rpm"), values.get("tpm"))
        for model, values in sorted(limits.limits_by_model.items())
    )
    return tuple(rate for rate in rates if rate.rpm_limit is not None or rate.tpm_limit is not None)


def is_service_account(key_pk: int) -> bool:
    return VirtualKey.objects.filter(pk=key_pk).exclude(service_account="").exists()


def load_known_customer(organization_id: int, public_id: str) -> ScopePolicy | None:
    """The policy of an end user, if there is one of this name."""
    epoch = _epoch(organization_id)
    live = Customer.objects.live().select_related("shared_budget")
    customer = live.filter(organization_id=organization_id, public_id=public_id).first()
    return policy_of(customer, epoch=epoch) if customer else None


def load_customer(organization_id: int, public_id: str, budget: int | None = None) -> ScopePolicy | None:
    """The policy of an end user; the first call that names one creates it, so it always has a counter.

    `budget` is the primary key of the shared one that the key of that call gives to new end users.
    None for one that nobody made, where `validate_end_user_id_in_db` asks for that.
    """
    known = load_known_customer(organization_id, public_id)
    if known is not None or settings.GENERAL_SETTINGS.get("validate_end_user_id_in_db"):
        return known
    make_customer(organization_id, public_id, budget)
    return load_known_customer(organization_id, public_id)


def load_tags(organization_id: int, names: Iterable[str]) -> dict[str, ScopePolicy]:
    """Policies of the tags among `names`, each created at its first use."""
    wanted, epoch = set(names), _epoch(organization_id)
    named = Tag.objects.select_related("shared_budget").filter(organization_id=organization_id, name__in=wanted)
    tags = list(named)
    if new := wanted - {tag.name for tag in tags}:
        make_tags(organization_id, new)
        tags = list(named.all())
    return {tag.name: policy_of(tag, epoch=epoch) for tag in tags}


def _epoch(organization_id: int) -> int:
    return Organization.objects.values_list("epoch", flat=True).get(pk=organization_id)


def _memberships(keys: list[VirtualKey]) -> dict[tuple[int | None, int | None], Membership]:
    pairs = {(key.team_id, key.holder_id) for key in keys if key.team_id and key.holder_id}
    teams, users = {team for team, _ in pairs}, {user for _, user in pairs}
    rows = Membership.objects.filter(team_id__in=teams, user_id__in=users).select_related(
        "team", "user", "shared_budget"
    )
    return {(row.team_id, row.user_id): row for row in rows}


def _places(keys: list[VirtualKey]) -> dict[tuple[int | None, int | None], OrganizationMembership]:
    """What people may do in an organization, whatever their keys belong to there."""
    pairs = {(key.organization_id, key.holder_id) for key in keys if key.holder_id}
    organizations, users = {organization for organization, _ in pairs}, {user for _, user in pairs}
    rows = OrganizationMembership.objects.filter(organization_id__in=organizations, user_id__in=users)
    return {
        (row.organization_id, row.user_id): row for row in rows.select_related("organization", "user", "shared_budget")
    }


def _is_sealed(key: VirtualKey, old: RetiredSecret | None) -> bool:
    token, seal = (old.token, old.seal) if old else (key.token, key.seal)
    return hmac.compare_digest(secrets.seal_of(token, key.pk, settings.SEALING_KEY), seal)
