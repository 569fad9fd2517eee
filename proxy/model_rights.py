"""What leaders of a team may do with its models: theirs are theirs, and the platform's are called as it set them up."""

from typing import Any

from proxy.lent_secrets import is_borrowed
from proxy.models import Deployment
from teams.api_base import ApiError, Caller
from teams.models import User


def is_maker(caller: Caller, deployment: Deployment) -> bool:
    """With whichever key; not somebody who has the id of one who is gone."""
    if deployment.created_by != caller.actor.signature:
        return False
    return not User.objects.filter(pk=caller.user_pk or 0, created_at__gt=deployment.created_at).exists()


def pays_another(caller: Caller, deployment: Deployment) -> bool:
    """Whether calls are paid with a secret that somebody else brought."""
    return not caller.is_admin and deployment.credential is not None and not is_maker(caller, deployment)


def use_of(deployment: Deployment) -> dict[str, Any]:
    """What decides which price and which limits hold for a deployment, by the field that sets it."""
    return {
        "litellm_params.model": (deployment.provider_id, deployment.upstream_model),
        "model_name": deployment.model.name,
        "model_info.access_groups": deployment.groups,
        "model_info.mode": deployment.mode,
    }


def refuse_other_use(before: dict[str, Any], changed: Deployment, params: dict[str, Any]) -> None:
    """ApiError 403, unless a secret of the caller's own pays from now on."""
    if params.get("api_key") and not is_borrowed(params["api_key"]):
        return
    for field, value in use_of(changed).items():
        if value != before[field]:
            told = f"{field}: only platform admins, and who made the model, change it where the secret is another's"
            raise ApiError(403, told, param=field)


def refuse_foreign_groups(caller: Caller, deployment: Deployment, before: frozenset[str] = frozenset()) -> None:
    """A group of others opens what they put in it, and its budget is theirs. ApiError 403."""
    joined = deployment.groups - before
    if caller.is_admin or not joined:
        return
    others = Deployment.objects.exclude(team=deployment.team).only("model_info", "access_groups")
    if any(joined & row.groups for row in others.iterator()):
        told = "model_info.access_groups: a group of models that are not your team's; choose another name"
        raise ApiError(403, told, param="model_info.access_groups")
