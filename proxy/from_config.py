"""Making the models of the configuration file so: loaded at every start, idempotent."""

import hashlib
import json
from datetime import datetime
from typing import Any

import structlog
from django.core.exceptions import ValidationError
from django.db import transaction

from proxy import services
from proxy.from_litellm import NewModel, UnknownProvider, UnknownTeam, UnsupportedField, unused
from proxy.litellm_prices import UnsupportedPrice
from proxy.merging import apply_to, read_new
from proxy.models import Deployment
from teams.actors import Actor

log = structlog.get_logger()
#: What other gateways read, and this one cannot serve: no reason to keep the rest of the file from its callers.
_LEFT_OUT = (UnknownProvider, UnknownTeam, UnsupportedPrice, UnsupportedField)


class ModelRefused(ValueError):
    """An entry of `model_list` cannot be used; the message names its place."""


@transaction.atomic
def apply_models(entries: tuple[dict[str, Any], ...], source: Deployment.Source, *, actor: Actor, now: datetime) -> int:
    """Add, update and remove this source's deployments until they are what `entries` say; returns their number.

    A model whose provider, kind of price or further secrets are not supported, or whose team does not exist, is left
    out, and one without a price cannot be called; the log says so, and the rest of the file is served.
    """
    wanted: set[str] = set()
    for index, entry in enumerate(entries):
        try:
            new = read_new(entry["model_name"], entry["litellm_params"], entry["model_info"], source, now=now)
            new.deployment.public_id = _identity(entry)
            wanted.add(new.deployment.public_id)
            _apply(new, actor, now)
            if without_effect := unused(entry["litellm_params"]):
                log.warning("litellm_params without effect", place=_place(index, entry), names=without_effect)
            if new.price is None:
                _tell_unpriced(new.deployment, _place(index, entry), now)
        except _LEFT_OUT as error:
            log.error("model left out", place=_place(index, entry), reason=_reasons(error))
        except ValidationError as error:
            raise ModelRefused(f"{_place(index, entry)}: {_reasons(error)}") from error
    for gone in Deployment.objects.filter(source=source).exclude(public_id__in=wanted):
        services.delete_deployment(gone, actor=actor)
    return len(wanted)


def _apply(new: NewModel, actor: Actor, now: datetime) -> None:
    known = Deployment.objects.filter(public_id=new.deployment.public_id).first()
    if known is None:
        services.add_deployment(new.deployment, new.name, actor=actor, now=now, secret=new.secret, price=new.price)
    else:
        apply_to(known, new, actor=actor, now=now)


def _tell_unpriced(deployment: Deployment, place: str, now: datetime) -> None:
    try:
        services.refuse_unpriced(deployment, now)
    except ValidationError as error:
        log.error("model cannot be called", place=place, reason=_reasons(error))


def _identity(entry: dict[str, Any]) -> str:
    """The entry's own id, or one that stays the same while name and upstream do."""
    given = entry["model_info"].get("id")
    params = entry["litellm_params"]
    basis = [entry["model_name"], params.get("model"), params.get("api_base"), params.get("base_url")]
    return str(given) if given else hashlib.sha256(json.dumps(basis).encode()).hexdigest()[:32]


def _place(index: int, entry: dict[str, Any]) -> str:
    return f"model_list[{index}] ({entry['model_name']})"


def _reasons(error: ValidationError) -> str:
    return "; ".join(f"{field}: {' '.join(texts)}" for field, texts in _messages(error).items())


def _messages(error: ValidationError) -> dict[str, list[str]]:
    return error.message_dict if hasattr(error, "error_dict") else {"entry": error.messages}
