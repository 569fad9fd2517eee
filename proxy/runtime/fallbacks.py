"""How far a call has come: tries at the model that was asked for, then at those that take over from it. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from proxy.fallback_rules import CONTENT_POLICY, CONTEXT_WINDOW, GENERAL, Fallbacks
from proxy.runtime.call import Call
from proxy.runtime.errors import GatewayError
from teams.scopes import is_pool

RETRIED = frozenset({408, 409, 429, 500, 502, 503, 504})
#: Answers that no other try can change: the key is not good any more, or something of ours is down.
_FINAL = (401, 503)
_CONTEXT_CODES = ("context_length_exceeded", "string_above_max_length")
_CONTEXT_WORDS = ("maximum context length", "context window", "prompt is too long", "context length")
_POLICY_CODES = ("content_policy_violation", "content_filter", "moderation_blocked")
_POLICY_WORDS = ("content management policy", "content policy", "safety system")


@dataclass(slots=True)
class Course:
    """One call on its way. Every step is an attempt with a model check, a hold and an entry of its own."""

    call: Call
    """As it goes to the present model."""
    most: int
    """How many fallbacks may be tried."""
    attempt: int = 1
    tries: int = 1
    """At the present model, with the one under way."""
    fallbacks: int = 0
    """Tried so far, with the one under way."""
    spent: frozenset[str] = frozenset()
    """Pools that had not enough left for the call."""
    failure: GatewayError | None = None
    """Why the model that was asked for did not serve the call."""
    _asked: Call = field(init=False)
    _waiting: list[Call] = field(init=False)
    """Those that the client named first."""
    _seen: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._asked, self._waiting = self.call, list(self.call.fallbacks)

    @property
    def asked(self) -> Call:
        """As the client made it."""
        return self._asked

    def go_on(self, failed: GatewayError, kind: str, model: str, most_retries: int, known: Fallbacks) -> bool:
        """After a failed attempt go on to another one, at this model or at the next. False where there is none.

        `kind` says which fallbacks the failure opens; none if it is empty.
        """
        if failed.status in RETRIED and self.tries <= most_retries:
            self.attempt, self.tries = self.attempt + 1, self.tries + 1
            return True
        self.failure = self.failure or failed
        self._seen |= {model, self.call.model}
        if not kind or not self.call.falls_back:
            return False
        configured = [replace(self._asked, model=name) for name in known.after(model, kind)]
        self._waiting = [*self._waiting, *configured] if self.call is self._asked else [*configured, *self._waiting]
        goes = self._to_next()
        self.attempt += goes
        return goes

    def go_round(self, refusal: GatewayError) -> bool:
        """After a refused budget of a pool try deployments outside of it. False for any other budget."""
        if not is_pool(refusal.scope) or refusal.scope in self.spent:
            return False
        self.spent |= {refusal.scope}
        return True

    def take_cheaper(self, refusal: GatewayError, others: Iterable[str]) -> bool:
        """After a refused budget take the next model that the key names for this case. False where none is left."""
        if not self.call.falls_back or self.failure is not None:
            return False
        self.failure = refusal
        self._seen.add(self.call.model)
        self._waiting = [*(replace(self._asked, model=name) for name in others), *self._waiting]
        return self._to_next()

    def pass_over(self, refusal: GatewayError) -> bool:
        """Leave out a fallback that may not be called, or does not fit. False where none is left to try."""
        if self.failure is None or refusal.status in _FINAL:
            return False
        self.fallbacks -= self.tries == 1
        return self._to_next()

    def told(self, refusal: GatewayError) -> GatewayError:
        """What the client learns when nothing is left to try: why the model that it asked for failed."""
        told = refusal if self.failure is None or refusal.status in _FINAL else self.failure
        if self.failure is not None:
            told.headers = {**told.headers, **{name.decode(): value.decode() for name, value in self.headers()[1:]}}
        return told

    def headers(self) -> list[tuple[bytes, bytes]]:
        return [
            (b"x-litellm-attempted-retries", b"%d" % (self.tries - 1)),
            (b"x-litellm-attempted-fallbacks", b"%d" % self.fallbacks),
            (b"x-litellm-max-fallbacks", b"%d" % self.most),
        ]

    def _to_next(self) -> bool:
        while self._waiting and self.fallbacks < self.most:
            following = self._waiting.pop(0)
            if following.model not in self._seen:
                self._seen.add(following.model)
                self.call, self.tries = following, 1
                self.fallbacks += 1
                return True
        return False


def kind_of(status: int, said: Any) -> str:
    """Which fallbacks a provider's refusal opens: of a kind, of any failure, or none for the client's own mistakes."""
    error = said.get("error") if isinstance(said, dict) else None
    code, told = (error.get(name) if isinstance(error, dict) else None for name in ("code", "message"))
    told = told.lower() if isinstance(told, str) else ""
    if status in (400, 413, 422):
        if code in _CONTEXT_CODES or any(words in told for words in _CONTEXT_WORDS):
            return CONTEXT_WINDOW
        return CONTENT_POLICY if code in _POLICY_CODES or any(words in told for words in _POLICY_WORDS) else ""
    # A credential that is refused, or a model that the provider does not know, is our fault and not the client's.
    return GENERAL if status in RETRIED or status >= 500 or status in (401, 402, 403, 404) or status < 400 else ""
