"""What may be called: models and the deployments behind them, as a worker caches them. Pure."""

from dataclasses import dataclass, field

from spend.pricing import PriceCard


@dataclass(frozen=True, slots=True)
class Target:
    """One deployment, ready to be called. `secret` goes to `base_url`'s host only and is never shown."""

    deployment: str
    model: str
    provider: str
    upstream_model: str
    base_url: str
    mode: str
    secret: str = field(repr=False)
    max_input_tokens: int | None
    max_output_tokens: int | None
    price: PriceCard | None
    is_free: bool
    timeout_seconds: float
    max_retries: int
    on_disconnect: str = "drain"
    """What becomes of a stream whose client went away: `drain` reads it to its end, `cancel` hangs up."""


@dataclass(frozen=True, slots=True)
class Catalog:
    models: dict[str, tuple[Target, ...]]
    created: dict[str, int]
    """When each model was added, in seconds since 1970."""
