"""What the gateway is told at start. Built once from Django's settings in `gateway_project.asgi`."""

from dataclasses import dataclass, field

from proxy.gate_rules import GateRules


@dataclass(frozen=True, slots=True)
class OutagePolicy:
    """What becomes of calls while something of ours is away."""

    budgets_without_store: str = "deny"
    """`deny`; `pg_exact`: SQL judges; `allowance`: so much is let through. For calls that a hard budget limits."""
    takeover_seconds: float = 1.0
    """How long the counter store must have been away before SQL judges in its place."""
    allowance_nano: int = 0
    """Nano-USD that hard budgets may hold in one worker and outage, where policy is `allowance`."""
    budgets_without_database: str = "deny"
    """`deny`, or `spool`: intents go to this machine's disk. For calls that a hard budget limits."""
    unbudgeted_without_database: str = "spool"
    spool_folder: str = ""
    spool_bytes: int = 64 * 1024 * 1024
    spool_seconds: int = 60
    """For how long after the database was last heard of calls may begin."""


@dataclass(frozen=True, slots=True)
class GatewayConfig:
    redis_url: str = field(repr=False)
    master_token: str = field(repr=False)
    """SHA-256 of the master key; its calls go through the same gate as every other."""
    max_body_bytes: int = 20 * 1024 * 1024
    body_deadline_seconds: float = 60.0
    lease_seconds: int = 60
    default_output_tokens: int = 16384
    budget_status: int = 429
    durability: str = "strict"
    """`strict`: an intent is committed in SQL before the send. `fast`: it is a record of the counter store."""
    max_answer_bytes: int = 64 * 1024 * 1024
    cut_revoked_streams: bool = True
    client_stall_seconds: float = 60.0
    drain_seconds: float = 300.0
    most_drained: int = 1000
    store_timeout_seconds: float = 0.2
    unbudgeted_without_store: bool = True
    """Whether calls that no hard budget limits go on while the counter store is away."""
    workers: int = 1
    """Workers that share a rate limit while there is no counter store to share it through."""
    outage: OutagePolicy = field(default_factory=OutagePolicy)
    rules: GateRules = field(default_factory=GateRules)

    @property
    def serves_without_store(self) -> bool:
        """Whether there are calls that go on while the counter store is away."""
        return self.durability == "strict" and (
            self.unbudgeted_without_store or self.outage.budgets_without_store != "deny"
        )
