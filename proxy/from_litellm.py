"""Reading a model in LiteLLM's shape (`model_name`, `litellm_params`, `model_info`) into a deployment.

`/model/new` and the `model_list` of the configuration file both come in through here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError

from proxy import stated
from proxy.lent_secrets import secret_for
from proxy.litellm_prices import by_the_million, is_price, read_price
from proxy.models import Credential, Deployment, Provider
from proxy.param_types import wrong_types
from proxy.providers import REGISTRY
from proxy.runtime import defaults
from proxy.runtime.call import MOST_TOKENS
from spend import book
from spend.models import Price
from teams.models import Team

_USED = {"model", "api_key", "custom_llm_provider", "litellm_credential_name", *stated.NAMES}
#: Kept, and meant by something: `rpm` and `tpm` are shown alone.
_MEANT = {"tags", "region_name", "on_disconnect", "rpm", "tpm", "mock_response"}
#: Names that LiteLLM has besides ours for servers that speak OpenAI's dialect.
_SAME_DIALECT = {"text-completion-openai": "openai", "custom_openai": "openai_like", "litellm_proxy": "openai_like"}
_MOST_STARS = 2
#: What answers say about a model and clients send back; none of it is theirs to set here.
_COMPUTED = {
    "id", "team_id", "team_public_model_name", "db_model", "litellm_provider", "key", "blocked", "created_at",
    "created_by", "updated_at", "updated_by",
}  # fmt: skip

#: Parameters that would be kept in clear if we took them. `api_key` is the one that is encrypted.
_SECRET_WORDS = ("secret", "password", "credential", "private_key", "access_key", "token", "api_key", "headers")
_HARMLESS = {"litellm_credential_name"}
_COUNTS = ("max_tokens", "max_input_tokens", "max_output_tokens", "max_completion_tokens", "cost")


@dataclass(frozen=True, slots=True)
class NewModel:
    """An unsaved deployment with what belongs beside it."""

    name: str
    deployment: Deployment
    secret: str
    price: Price | None
    """The deployment's own, unsaved."""

    def __repr__(self) -> str:
        return f"NewModel(name={self.name!r})"


def read_model(
    name: str, params: dict[str, Any], info: dict[str, Any], source: Deployment.Source, *, may_wait: bool = False
) -> NewModel:
    """Raises ValidationError naming the field and what to write instead.

    One that `may_wait` may name a credential that is not stored yet.
    """
    refuse_secrets(params, allowed="api_key")
    refuse_secrets(info)
    slug, upstream = _provider_and_model(params)
    _check_wildcard(name, upstream)
    credential, awaited = _credential(params, may_wait=may_wait)
    deployment = Deployment(
        provider=Provider.objects.get(slug=slug),
        upstream_model=upstream,
        base_url=str(params.get("api_base") or params.get("base_url") or (credential.base_url if credential else "")),
        credential=credential,
        awaited_credential=awaited,
        team=_team(info.get("team_id")),
        mode=_mode(info.get("mode")),
        max_input_tokens=_whole(info, "max_input_tokens"),
        max_output_tokens=_whole(info, "max_output_tokens") or _whole(info, "max_tokens"),
        timeout_seconds=_whole(params, "timeout") or settings.CALL_DEFAULTS.timeout_seconds,
        max_retries=_retries(params),
        stated=stated.stated_in(params),
        params={key: value for key, value in params.items() if _is_kept(key, value, _USED)} | _bare(params),
        model_info={key: value for key, value in info.items() if _is_kept(key, value, _COMPUTED)},
        source=source,
    )
    groups = access_groups(info.get("access_groups"))
    if source != Deployment.Source.CONFIG:
        # Those of the file stay the file's; these may be changed one by one.
        deployment.access_groups = groups
        deployment.model_info.pop("access_groups", None)
    if params.get("on_disconnect", "drain") not in ("drain", "cancel"):
        raise ValidationError({"litellm_params.on_disconnect": "write 'drain' or 'cancel'"})
    names(params.get("tags"), "litellm_params.tags")
    _check_defaults(params)
    if info.get("id"):
        deployment.public_id = str(info["id"])
    prices = {**info, **params} | by_the_million(info, params)
    price = read_price(prices, has_output=deployment.mode != Deployment.Mode.EMBEDDING)
    deployment.is_free = price is not None and book.card_of(price).is_free
    return NewModel(name, deployment, _secret(params, deployment), price)


def _secret(params: dict[str, Any], deployment: Deployment) -> str:
    """The file's are read from the environment already."""
    given = str(params.get("api_key") or "")
    address = deployment.base_url or deployment.provider.base_url
    in_file = deployment.source == Deployment.Source.CONFIG
    return given if in_file else secret_for(given, address, "litellm_params.api_key")


def _bare(params: dict[str, Any]) -> dict[str, Any]:
    """A name that means OpenAI's without saying so is kept as it was written; every other one says what it is."""
    usual = params.get("custom_llm_provider") in (None, "", "openai")
    return {"model": params["model"]} if usual and "/" not in params["model"] else {}


def _is_kept(name: str, value: Any, elsewhere: set[str]) -> bool:
    return value is not None and name not in elsewhere and not is_price(name)


def check_kept(params: dict[str, Any], info: dict[str, Any]) -> None:
    """Raises ValidationError, naming the field, for values that are kept as they are and would fail, or tell, later."""
    refuse_secrets(params)
    refuse_secrets(info)
    if wrong := wrong_types(params) | wrong_types(info):
        raise ValidationError(wrong)
    names(params.get("tags"), "tags")
    access_groups(info.get("access_groups"))
    _check_defaults(params)


def access_groups(value: Any) -> list[str]:
    """Raises ValidationError unless it is a list of names."""
    return names(value, "model_info.access_groups")


def names(value: Any, field: str) -> list[str]:
    """Raises ValidationError unless it is a list of names, or None."""
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(name, str) and 0 < len(name) <= 255 for name in value):
        raise ValidationError({field: "write a list of names"})
    return list(dict.fromkeys(value))


def _check_defaults(params: dict[str, Any]) -> None:
    if params.get("mock_response"):
        raise UnsupportedField(
            {"litellm_params.mock_response": "not supported: calls would be sent and billed after all"}
        )
    for name in defaults.CAPS:
        if params.get(name) is not None and not defaults.is_cap(params[name]):
            raise ValidationError({f"litellm_params.{name}": f"write a whole number from 1 to {MOST_TOKENS}"})


def unused(params: Mapping[str, Any]) -> list[str]:
    """Names among `litellm_params` that change nothing here."""
    return sorted(name for name in params.keys() - _USED - _MEANT - defaults.NAMES if not is_price(name))


def _check_wildcard(name: str, upstream: str) -> None:
    if name.count("*") > _MOST_STARS:
        raise ValidationError({"model_name": f"at most {_MOST_STARS} stars: every call is matched against them"})
    if upstream.count("*") > name.count("*"):
        raise ValidationError({"model_name": f"'{upstream}' needs a name with as many stars, e.g. 'openai/*'"})


def _credential(params: dict[str, Any], *, may_wait: bool) -> tuple[Credential | None, str]:
    """The stored credential that is named, or the name of one that is not stored yet."""
    name = params.get("litellm_credential_name")
    if not name:
        return None, ""
    if params.get("api_key"):
        raise ValidationError({"litellm_params.api_key": "send either api_key or litellm_credential_name, not both"})
    shared = Credential.objects.filter(is_own=False)
    credential = shared.filter(name=name).first() if isinstance(name, str) else None
    if credential is None and may_wait and isinstance(name, str) and len(name) <= 255:
        return None, name
    if credential is None:
        raise ValidationError({"litellm_params.litellm_credential_name": "no credential has this name"})
    return credential, ""


def _team(public_id: Any) -> Team | None:
    if not public_id:
        return None
    team = Team.objects.live().filter(public_id=public_id).first() if isinstance(public_id, str) else None
    if team is None:
        raise UnknownTeam({"model_info.team_id": f"Team not found, team_id={str(public_id)[:128]}"})
    return team


class UnknownTeam(ValidationError):
    """A model of a team that does not exist."""


class UnknownProvider(ValidationError):
    """A model of a provider that Latchkey does not speak with."""


class UnsupportedField(ValidationError):
    """A field that means something elsewhere and must not be taken for granted here, as a secret kept in clear."""


def _provider_and_model(params: dict[str, Any]) -> tuple[str, str]:
    model = params.get("model")
    if not isinstance(model, str) or not model:
        raise ValidationError({"litellm_params.model": "name the upstream model, e.g. 'openai/gpt-4o-mini'"})
    given = params.get("custom_llm_provider")
    prefix, slash, rest = model.partition("/")
    prefix = _SAME_DIALECT.get(prefix, prefix)
    named = slash and prefix in REGISTRY and given in (None, "", prefix)
    slug, upstream = (prefix, rest) if named else (given or "", model)
    if not slug and (not slash or params.get("api_base")):
        slug = "openai"
    if slug not in REGISTRY:
        known = ", ".join(sorted(REGISTRY))
        raise UnknownProvider({"litellm_params.model": f"unknown provider '{slug or prefix}'; known are {known}"})
    return slug, upstream


def _mode(value: Any) -> str:
    mode = str(value or Deployment.Mode.CHAT)
    if mode not in Deployment.Mode.values:
        raise ValidationError({"model_info.mode": f"'{mode}' is not one of {', '.join(Deployment.Mode.values)}"})
    return mode


def _retries(params: dict[str, Any]) -> int:
    """Of the two names the first counts. The other one is shown as well, so it has to be a number."""
    others: int | None = _whole(params, "num_retries")
    retries: int = _whole(params, "max_retries", default=others)
    return settings.CALL_DEFAULTS.max_retries if retries is None else retries


def _whole(values: dict[str, Any], *names: str, default: int | None = None) -> Any:
    for name in names:
        if values.get(name) is not None:
            try:
                number = int(_no_switch(values[name]))
            except (TypeError, ValueError, OverflowError) as error:
                raise ValidationError({name: "write a whole number"}) from error
            if not 0 <= number < 2**53:
                raise ValidationError({name: "write a whole number that is not negative"})
            return number
    return default


def _no_switch(value: Any) -> Any:
    if isinstance(value, bool):
        raise TypeError
    return value


def refuse_secrets(values: dict[str, Any], allowed: str = "") -> None:
    """We keep these objects in clear, so nothing that looks like a secret may be in them, at any depth."""
    waiting: list[Any] = [{name: value for name, value in values.items() if name not in {allowed, *_HARMLESS}}]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            for name, child in item.items():
                if child not in (None, "") and not _is_count(name.lower(), child) and _looks_secret(name.lower()):
                    raise UnsupportedField(
                        {name: "not supported: the only secret a model takes is litellm_params.api_key"}
                    )
                waiting.append(child)
        elif isinstance(item, list):
            waiting.extend(item)


def _is_count(name: str, value: Any) -> bool:
    """Whether it is so many tokens, as `budget_tokens` of `thinking` are. A text of that name may be anything."""
    return "tokens" in name and isinstance(value, int | float | Decimal)


def _looks_secret(name: str) -> bool:
    return not any(count in name for count in _COUNTS) and any(word in name for word in _SECRET_WORDS)
