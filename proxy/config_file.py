"""Reading `LATCHKEY_CONFIG`: YAML in the shape of LiteLLM's config.yaml. Pure: no Django.

`os.environ/NAME` values are read from the environment, and from `environment_variables` of the file. Unknown keys are
named in `warnings`, never ignored in silence, and so are models whose variables nobody set; a wrong value raises
ConfigError with its place in the file.
"""

from collections.abc import Mapping, Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from keys import key_rules
from proxy import alias_rules, call_defaults, fallback_rules, gate_rules, pool_rules
from proxy.call_defaults import MOST_RETRIES, CallDefaults, read_call_defaults
from proxy.providers import REGISTRY, ProviderSpec, usual_address
from spend import markups
from teams import people_rules, platform_rules

_TOP = {"model_list", "general_settings", "litellm_settings", "router_settings", "environment_variables"}
#: Settings that have a place here; all others are named in a warning. What each means is in docs/configuration.md.
GENERAL = {
    "master_key", *gate_rules.NAMES, *people_rules.GENERAL_NAMES, *key_rules.NAMES, *platform_rules.GENERAL_NAMES,
}  # fmt: skip
LITELLM = {
    *gate_rules.LITELLM_NAMES, *fallback_rules.NAMES, *people_rules.NAMES, *key_rules.NAMES, *platform_rules.NAMES,
    *markups.NAMES, *call_defaults.LITELLM_NAMES, *alias_rules.LITELLM_NAMES,
}  # fmt: skip
ROUTER = {
    *gate_rules.ROUTER_NAMES, *fallback_rules.NAMES, *pool_rules.NAMES, *call_defaults.ROUTER_NAMES,
    *alias_rules.ROUTER_NAMES,
}  # fmt: skip
#: What is so here in any case; only a wish for the opposite is worth a warning.
_ALWAYS_ON = {"store_model_in_db", "store_audit_logs"}
_MODEL = {"model_name", "litellm_params", "model_info"}
_FROM_ENVIRONMENT = "os.environ/"
#: Settings by which a model says where its secret goes.
_PLACES = ("api_base", "base_url", "litellm_credential_name")
_RETRIES = {"max_retries", "num_retries"}


class ConfigError(ValueError):
    """The file cannot be used; the message names the place and the remedy."""


@dataclass(frozen=True, slots=True)
class LentSecret:
    """A secret of the environment that a model of the file names as its `api_key`, and where it may go."""

    name: str
    secret: str = field(repr=False)
    addresses: tuple[str, ...]
    """The model's own, and its provider's."""


@dataclass(frozen=True, slots=True)
class Config:
    master_key: str = ""
    general: Mapping[str, Any] = field(default_factory=dict)
    """`general_settings` without the master key."""
    litellm: Mapping[str, Any] = field(default_factory=dict)
    """`litellm_settings`."""
    router: Mapping[str, Any] = field(default_factory=dict)
    """`router_settings`."""
    models: tuple[dict[str, Any], ...] = ()
    """Entries of `model_list`: {model_name, litellm_params, model_info}, as `/model/new` takes them."""
    warnings: tuple[str, ...] = field(default=())
    lent: tuple[LentSecret, ...] = ()
    defaults: CallDefaults = field(default_factory=CallDefaults)

    def __repr__(self) -> str:
        return f"Config(models={len(self.models)})"


def read_config(path: str, environ: Mapping[str, str]) -> Config:
    """The configuration at `path`; an empty path means none."""
    if not path:
        return Config()
    data = _load(Path(path))
    warnings = [f"{name}: unknown section, ignored" for name in data.keys() - _TOP]
    environ = {**environ, **_variables(data)}
    general = _section(data, "general_settings", GENERAL, environ)
    litellm = _section(data, "litellm_settings", LITELLM, environ)
    warnings += _foreign(litellm)
    router = _section(data, "router_settings", ROUTER, environ)
    sections = (("general", general, GENERAL), ("litellm", litellm, LITELLM), ("router", router, ROUTER))
    for name, values, known in sections:
        warnings += _unknown(f"{name}_settings", values, known)
        warnings += _too_many(f"{name}_settings", values, _RETRIES & known)
    models = data.get("model_list") or []
    if not isinstance(models, list):
        raise ConfigError("model_list must be a list of models")
    served = [
        (entry, model)
        for index, entry in enumerate(models)
        if (model := _model(f"model_list[{index}]", entry, environ, warnings))
    ]
    master_key = str(general.pop("master_key", None) or "")
    given = [entry["litellm_params"] for entry, _ in served]
    lent = tuple(_lent(params, name, environ) for params in given if (name := _key_variable(params, environ)))
    entries = tuple(model for _, model in served)
    defaults = _defaults(litellm, router)
    return Config(master_key, general, litellm, router, entries, tuple(sorted(warnings)), lent, defaults)


def _variables(data: dict[str, Any]) -> dict[str, str]:
    """Variables that the file brings, for itself alone; as with LiteLLM, they come before those of the process."""
    section = data.get("environment_variables") or {}
    if not isinstance(section, dict) or any(isinstance(value, dict | list) for value in section.values()):
        raise ConfigError("environment_variables must be a mapping of names to texts")
    return {str(name): str(value) for name, value in section.items() if value is not None}


def _unknown(section: str, values: Mapping[str, Any], known: Set[str]) -> list[str]:
    names = (name for name in values.keys() - known if name not in _ALWAYS_ON or not values[name])
    return [f"{section}.{name}: unknown setting, ignored" for name in names]


def _too_many(place: str, values: Mapping[str, Any], names: Set[str]) -> list[str]:
    found = sorted(name for name in names if _is_too_many(values.get(name)))
    return [f"{place}.{name}: {values[name]} is more than the {MOST_RETRIES} we make" for name in found]


def _is_too_many(retries: Any) -> bool:
    """Variables are texts."""
    number = int(retries[:9]) if isinstance(retries, str) and retries.isdecimal() else retries
    return isinstance(number, int) and number > MOST_RETRIES


def _defaults(litellm: Mapping[str, Any], router: Mapping[str, Any]) -> CallDefaults:
    try:
        return read_call_defaults(litellm, router)
    except gate_rules.BadRule as error:
        raise ConfigError(str(error)) from error


def _foreign(litellm: Mapping[str, Any]) -> list[str]:
    """Discounts and margins of providers that no model here can have; a file may serve other gateways as well."""
    return [
        f"litellm_settings.{setting}.{name}: unknown provider, ignored"
        for setting in markups.NAMES & litellm.keys()
        for name in (litellm[setting] if isinstance(litellm[setting], Mapping) else ())
        if name not in REGISTRY and name != markups.EVERY
    ]


def _load(path: Path) -> dict[str, Any]:
    try:
        data = yaml.safe_load(path.read_text())
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{path} is not YAML: {' '.join(str(error).split())}") from error
    if data is not None and not isinstance(data, dict):
        raise ConfigError(f"{path} must hold sections such as model_list and general_settings")
    return data or {}


def _section(data: dict[str, Any], name: str, known: Set[str], environ: Mapping[str, str]) -> dict[str, Any]:
    """Settings that nobody here reads may name variables that nobody set."""
    section = data.get(name) or {}
    if not isinstance(section, dict):
        raise ConfigError(f"{name} must be a mapping of settings")
    return {key: _resolve(value, f"{name}.{key}", environ) if key in known else value for key, value in section.items()}


def _model(place: str, entry: Any, environ: Mapping[str, str], warnings: list[str]) -> dict[str, Any] | None:
    """An entry with its variables; None if it cannot be served without one that nobody set."""
    if not isinstance(entry, dict) or not entry.get("model_name") or not isinstance(entry.get("litellm_params"), dict):
        raise ConfigError(f"{place} needs model_name and litellm_params")
    warnings += [f"{place}.{name}: unknown key, ignored" for name in entry.keys() - _MODEL]
    given = entry["litellm_params"]
    named = {name: variable for name, value in given.items() if (variable := _variable(value)) is not None}
    unset = {name: variable for name, variable in named.items() if variable not in environ}
    for name, variable in unset.items():
        # A model without its key can be listed and limited; only its provider refuses it.
        effect = "calls are sent without a key" if name == "api_key" else "left out"
        reason = f"litellm_params.{name} refers to the environment variable {variable}, which is not set"
        warnings.append(f"{place}: {effect}: {reason}")
    if unset.keys() - {"api_key"}:
        return None
    resolved = {
        name: _resolve(value, f"{place}.litellm_params.{name}", environ)
        for name, value in given.items()
        if name not in unset
    }
    if variable := _key_variable(given, environ):
        resolved["api_key"] = environ[variable]
    warnings += _too_many(f"{place}.litellm_params", resolved, _RETRIES)
    resolved |= {name: MOST_RETRIES for name in _RETRIES if _is_too_many(resolved.get(name))}
    return {
        "model_name": str(entry["model_name"]),
        "litellm_params": resolved,
        "model_info": dict(entry.get("model_info") or {}),
    }


def _key_variable(params: Mapping[str, Any], environ: Mapping[str, str]) -> str:
    """The environment variable that holds a model's key: the one it names, else its provider's usual one, which is
    for the provider's own address."""
    if given := params.get("api_key"):
        variable = _variable(given)
        return variable if variable and variable in environ else ""
    provider = _provider(params)
    if provider is None or any(params.get(name) for name in _PLACES):
        return ""
    return provider.key_variable if environ.get(provider.key_variable) else ""


def _provider(params: Mapping[str, Any]) -> ProviderSpec | None:
    prefix, slash, _ = str(params.get("model") or "").partition("/")
    return REGISTRY.get(str(params.get("custom_llm_provider") or (prefix if slash else "openai")))


def _lent(params: Mapping[str, Any], name: str, environ: Mapping[str, str]) -> LentSecret:
    provider, own = _provider(params), params.get("api_base") or params.get("base_url")
    addresses = (_resolve(own, "api_base", environ), usual_address(provider, environ) if provider else "")
    return LentSecret(name, environ[name], tuple(str(address) for address in addresses if address))


def _resolve(value: Any, place: str, environ: Mapping[str, str]) -> Any:
    variable = _variable(value)
    if variable is not None and variable not in environ:
        raise ConfigError(f"{place} refers to the environment variable {variable}, which is not set")
    return value if variable is None else environ[variable]


def _variable(value: Any) -> str | None:
    """The environment variable that a value refers to, if it does."""
    refers = isinstance(value, str) and value.startswith(_FROM_ENVIRONMENT)
    return value.removeprefix(_FROM_ENVIRONMENT) if refers else None
