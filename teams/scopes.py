"""Names of scopes and of everything the counter store keeps for them. Pure: no Django, no I/O.

A scope is one link of the chain that governs a call, written `<kind>:<primary key>`, e.g. `team:3`.
All counters of one organization share the hash tag `{o<pk>}`: one script call reaches the whole chain, and a cluster
could shard by organization. Those of the platform, which is above all of them, have one of their own.
"""

from enum import StrEnum
from hashlib import blake2s


class ScopeKind(StrEnum):
    #: Above every organization; there is one.
    PLATFORM = "platform"
    ORGANIZATION = "org"
    #: One person in one organization.
    ORGANIZATION_MEMBER = "org_member"
    TEAM = "team"
    MEMBER = "member"
    PROJECT = "project"
    USER = "user"
    KEY = "key"
    CUSTOMER = "customer"
    TAG = "tag"
    #: What all calls to a provider, or to the models of an access group, share; counted beside the platform.
    POOL = "pool"
    #: No link of a chain itself: limits that links share. Only changes are announced under its name.
    BUDGET = "budget"


#: Stands where an organization's primary key does, for what is counted over all organizations.
PLATFORM = 0
#: The scope of the platform.
PLATFORM_SCOPE = "platform:1"

#: Public id of the organization of whatever belongs to no other one.
DEFAULT_ORGANIZATION = "default"
#: Changes to models, deployments and prices are announced under this scope.
CATALOG = "catalog:0"

#: The counter script compares doubles, exact up to 2**53; a single window therefore ends at $9 million.
MAX_BUDGET_NANO = 9_000_000 * 10**9

#: Publishes an organization's epoch; a published one is never lowered. KEYS[1] prefix, ARGV[1] epoch.
#: Only the one who raised an epoch in the database publishes it, once: nothing can have been held in it before.
#: An epoch that ends with open holds is noted: what only the store knows of them is to be carried over.
PUBLISH_EPOCH = """
local key = KEYS[1] .. ':epoch'
local known = redis.call('GET', key)
if known and tonumber(known) >= tonumber(ARGV[1]) then return 'OK' end
redis.call('SET', key, ARGV[1])
if known and redis.call('EXISTS', KEYS[1] .. ':' .. known .. ':holds') == 1 then
  redis.call('SADD', KEYS[1] .. ':ended', known)
end
return 'OK'
"""


def scope_name(kind: ScopeKind, pk: int) -> str:
    return f"{kind.value}:{pk}"


def scope_kind(scope: str) -> ScopeKind:
    return ScopeKind(scope.partition(":")[0])


def is_pool(scope: str) -> bool:
    """Also of names that are no scope's, such as that of the catalog."""
    return scope.startswith(f"{ScopeKind.POOL}:")


def scope_pk(scope: str) -> int:
    """Also of a share of a scope."""
    return int(scope.partition(":")[2].partition("#")[0])


def share_of(scope: str, entry: str) -> str:
    """What calls are attributed to that a scope's limit for an access group is about, beside the scope itself.

    Which models are in a group changes, so whether a call belonged to it is known at its admission alone.
    """
    return f"{scope}#{blake2s(entry.encode(), digest_size=8).hexdigest()}"


def store_prefix(organization_pk: int) -> str:
    return f"lk:{{o{organization_pk}}}" if organization_pk else "lk:{g}"
