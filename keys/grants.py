"""The frozen view of a key's whole chain that a gateway worker caches. Pure: no Django, no I/O.

A grant carries the version of every scope it was read from. The hold script compares them with the
newest ones, so a stale grant is never acted on.
"""

from dataclasses import dataclass, field
from datetime import datetime

from teams.budgets import Budget

__all__ = ["Budget", "Grant", "ModelRate", "Owners", "ScopePolicy"]


@dataclass(frozen=True, slots=True)
class ModelRate:
    """Requests and tokens per minute of one entry of a model list."""

    model: str
    rpm_limit: int | None = None
    tpm_limit: int | None = None


@dataclass(frozen=True, slots=True, eq=False)
class ScopePolicy:
    """What one scope allows. None means the scope sets no limit of that kind.

    Each one read is itself alone, not equal to others of the same content: plans are kept by identity.
    """

    scope: str
    label: str
    version: int
    epoch: int = 0
    """The organization's epoch when this was read: nothing is held on windows of an epoch that is newer."""
    blocked: bool = False
    budgets: tuple[Budget, ...] = ()
    rpm_limit: int | None = None
    tpm_limit: int | None = None
    parallel_limit: int | None = None
    models: tuple[str, ...] = ()
    model_rates: tuple[ModelRate, ...] = ()
    shared: tuple[str, int] | None = None
    """Scope name and version of the shared budget that some of these limits come from."""
    ident: str = ""
    """How clients of the API know it: its public id, a tag's name, a key's SHA-256."""
    region: str = ""
    """Where the deployments must be that take calls of this end user."""
    default_model: str = ""
    """What takes the place of a model that is not there."""
    owner: tuple[str, int] | None = None
    """Scope name and version of the person who holds this key; no link of the chain if it is a team's key."""

    @property
    def versions(self) -> tuple[tuple[str, int], ...]:
        """Everything that this policy was read from; the hold script refuses it once one of them changed."""
        further = tuple(version for version in (self.shared, self.owner) if version)
        return ((self.scope, self.version), *further)


@dataclass(frozen=True, slots=True)
class Owners:
    """Snapshot of primary keys that every hold and ledger entry of the key is attributed to."""

    organization_id: int
    key_id: int
    team_id: int | None = None
    member_id: int | None = None
    user_id: int | None = None


@dataclass(frozen=True, slots=True)
class Grant:
    token: str
    public_id: str
    owners: Owners
    zone: str
    chain: tuple[ScopePolicy, ...]
    """From the organization down to the key; the last one is the key itself."""
    platform: ScopePolicy | None = None
    """What all organizations together may do, if that is limited. Its `epoch` is one of its own."""
    platform_zone: str = "UTC"
    platform_epoch: int = 0
    """The platform's when this was read: a catalog that is older may not know of every pool."""
    expires_at: datetime | None = None
    retires_at: datetime | None = None
    """When a rotated-out secret stops working; None for a current one."""
    aliases: dict[str, str] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    allowed_routes: tuple[str, ...] = ()
    output_cap_policy: str = "clamp"
    """For a call without an output cap that does not fit: `clamp` lowers the cap, `reject` refuses the call."""
    budget_fallbacks: dict[str, list[str]] = field(default_factory=dict)
    """Models that take the place of one whose calls no longer fit a budget."""
    owner_deactivated: bool = False
    """Also whether the owner, or the sponsor, is blocked at home, where not only personal keys cease to work."""
    is_admin: bool = False
    """Whether it acts for a platform admin."""
    enforced_params: tuple[str, ...] = ()
    """Fields that every call has to bring, `metadata.x` for one inside `metadata`."""
    end_user_budget: int | None = None
    """Primary key of the shared budget of end users whom its calls are the first to name."""
    user_public_id: str = ""
    team_public_id: str = ""

    @property
    def key(self) -> ScopePolicy:
        return self.chain[-1]
