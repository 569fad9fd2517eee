"""The worker's cache of grants, policies of customers and tags, and the catalog of models.

Every entry is a frozen, versioned snapshot. A newer version found by the hold script, or announced in
the database, drops it, also if it was being read when the news came.
"""

import asyncio
from collections.abc import Awaitable, Callable, Container, Iterable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from keys.grants import Grant, ScopePolicy
from proxy.runtime.catalog import Catalog, Target
from proxy.runtime.held import StaleGrant
from proxy.runtime.identify import unknown_customer, unknown_key
from proxy.runtime.journal import BooksUnavailable, Journal
from proxy.runtime.snapshots import Changes, Snapshots
from teams.scopes import CATALOG, PLATFORM_SCOPE, is_pool

_POLL_SECONDS = 0.3
_LOOK_BACK = timedelta(seconds=10)


class Grants:
    def __init__(self, journal: Journal, clock: Callable[[], datetime]) -> None:
        self._journal = journal
        self._clock = clock
        self._changes = Changes()
        self._grants: Snapshots[str, Grant] = Snapshots(self._changes, _read_from)
        self._customers: Snapshots[tuple[int, str], ScopePolicy] = Snapshots(self._changes, _names)
        self._tags: Snapshots[tuple[int, str], ScopePolicy] = Snapshots(self._changes, _names)
        self._platform: ScopePolicy | None = None
        self._catalog: Catalog | None = None
        self._seen: dict[int, None] = {}
        self._checked_at = clock()

    @property
    def as_of(self) -> datetime:
        """The last instant up to which every announced change is known."""
        return self._checked_at

    async def get(self, token: str) -> Grant:
        """Raises 401 for a key that does not exist."""
        grant = self._grants.get(token)
        if grant is None:
            since = self._changes.serial
            grant = await self._read("grants", token)
            if grant is None:
                raise unknown_key()
            grant = self._with_known_platform(grant)
            self._grants.put(token, grant, since)
        return grant

    @property
    def known(self) -> Container[str]:
        """Tokens whose grants were read already."""
        return self._grants

    def at_hand(self, token: str) -> Grant | None:
        """A grant that was read already."""
        return self._grants.get(token)

    def is_over(self, token: str) -> bool:
        """Whether the known grant of a token has expired or was rotated out."""
        grant, now = self._grants.get(token), self._clock()
        return grant is not None and any(end is not None and now >= end for end in (grant.expires_at, grant.retires_at))

    def knows(self, organization_id: int, customer: str, tags: tuple[str, ...]) -> bool:
        """Whether an end user, if one is named, and all tags were read already."""
        known = not customer or (organization_id, customer) in self._customers
        return known and all((organization_id, tag) in self._tags for tag in tags)

    async def customer(self, organization_id: int, name: str, budget: int | None = None) -> ScopePolicy:
        """One who is made by this call is held to the shared `budget`, if the key names one.

        Raises 400 for an end user that nobody made, where only known ones may call.
        """
        found = self._customers.get((organization_id, name))
        if found is None:
            since = self._changes.serial
            found = await self._read("customers", (organization_id, name, budget))
            if found is None:
                raise unknown_customer(name)
            self._customers.put((organization_id, name), found, since)
        return found

    async def known_customer(self, organization_id: int, name: str) -> ScopePolicy | None:
        """One who is there; nobody is made."""
        found = self._customers.get((organization_id, name))
        return found or await self._read("known_customers", (organization_id, name))

    async def tags(self, organization_id: int, names: tuple[str, ...]) -> tuple[ScopePolicy, ...]:
        """What is at hand is taken before the rest is waited for: meanwhile it may be dropped."""
        known = {name: policy for name in names if (policy := self._tags.get((organization_id, name)))}
        missing = tuple(name for name in names if name not in known)
        if missing:
            since = self._changes.serial
            read: dict[str, ScopePolicy] = await self._read("tags", (organization_id, missing))
            for name, policy in read.items():
                self._tags.put((organization_id, name), policy, since)
            known |= read
        return tuple(known[name] for name in names)

    async def catalog(self) -> Catalog:
        if self._catalog is None:
            self._catalog = await self._read("catalogs", None)
        return self._catalog

    async def targets(self, model: str, team: int | None, platform_epoch: int = 0) -> tuple[Target, ...]:
        """Every deployment that serves a model for keys of `team`; none for a model that does not exist.

        They know every pool that was made up to an epoch of the platform's, as a grant has read it.
        """
        catalog = await self.catalog()
        if catalog.platform_epoch < platform_epoch:
            self._catalog = None
            catalog = await self.catalog()
        shelf = catalog.shelf_of(model, team)
        if shelf is None:
            return ()
        if model in shelf.models:
            return shelf.models[model]
        of_team = None if shelf is catalog.everybody else team
        known = catalog.concrete.get((of_team or 0, model))
        if known is None:
            further = catalog.groups_of(model, team)
            found = await self._read("concretes", (of_team, model))
            known = tuple(replace(target, groups=further) for target in found)
            catalog.remember(model, of_team, known)
        return known

    async def refuse_outdated(self, chain: tuple[ScopePolicy, ...]) -> None:
        """Raises StaleGrant for a chain that is no longer what the database has."""
        versions = tuple(version for policy in chain for version in policy.versions)
        if changed := await self._read("outdated", versions):
            raise StaleGrant([changed])

    async def has_news(self) -> bool:
        """Whether the catalog is older than what was announced; it is read again then. Asked before a refusal."""
        catalog = await self.catalog()
        changes = await self._read("policy_changes", self._clock() - _LOOK_BACK)
        if not any(scope == CATALOG and pk > catalog.announced for pk, scope in changes):
            return False
        self._catalog = None
        return True

    async def _read(self, kind: str, item: object) -> Any:
        """Refused at once while the database is known to be away: who follows the changes notices its return."""
        if not self._journal.available:
            raise BooksUnavailable("the database is away", never=True)
        return await self._journal.ask(kind, item)

    def forget(self, scopes: Iterable[str]) -> None:
        """No snapshot that was read from one of the scopes is used again."""
        gone = set(scopes)
        if CATALOG in gone or any(map(is_pool, gone)):
            self._catalog = None
        self._changes.note(gone)

    async def follow_changes(self, tell: Callable[[set[str]], Awaitable[None]]) -> None:
        """Read what was announced since the last look, forever, and tell which scopes changed.

        Covers a lost message in the counter store.
        """
        while True:
            await asyncio.sleep(_POLL_SECONDS)
            started = self._clock()
            try:
                changes = await self._journal.ask("policy_changes", self._checked_at - _LOOK_BACK)
            except BooksUnavailable:
                continue
            self._checked_at = started
            fresh = [scope for pk, scope in changes if pk not in self._seen]
            self._seen = dict.fromkeys(pk for pk, _ in changes)
            if fresh:
                self.forget(fresh)
                await tell(set(fresh))

    def _with_known_platform(self, grant: Grant) -> Grant:
        """Grants that were read at different times share one policy of the platform, and so its plans."""
        known, read = self._platform, grant.platform
        if known and read and (known.version, known.epoch) == (read.version, read.epoch):
            return replace(grant, platform=known)
        self._platform = read
        return grant


def _read_from(grant: Grant) -> Iterator[str]:
    """Every grant knows what the platform allows, if only that it limits nothing."""
    yield PLATFORM_SCOPE
    for policy in grant.chain:
        yield from _names(policy)


def _names(policy: ScopePolicy) -> Iterator[str]:
    return (scope for scope, _ in policy.versions)
