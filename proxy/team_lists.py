"""A team's list of models follows the models that the team has of its own and may call.

Calls by the name of one that is blocked go to what serves the name for everybody, which the list is not to open.
"""

from django.db.models import QuerySet

from proxy.models import Deployment
from teams.actors import Actor
from teams.models import Team
from teams.services import update_limits


def lock(deployments: QuerySet[Deployment]) -> None:
    """Keep deployments, and the teams that have them, as they are until the transaction ends.

    The teams first: whoever deletes one locks it before its models, and so does whoever takes a model off its list.
    """
    teams = Team.objects.filter(pk__in=deployments.order_by().values("team"))
    list(teams.order_by("pk").select_for_update(no_key=True).values_list("pk"))
    list(deployments.order_by("pk").select_for_update(no_key=True).values_list("pk"))


def join(deployment: Deployment, actor: Actor) -> None:
    """A team may call its own models; one that may call everything goes on to do so."""
    if deployment.team_id is None or deployment.blocked:
        return
    team, name = Team.objects.select_for_update(no_key=True).get(pk=deployment.team_id), deployment.model.name
    if name not in team.allowed_models:
        team.allowed_models = [*(team.allowed_models or ["all-proxy-models"]), name]
        update_limits(team, actor=actor)


def leave(deployment: Deployment, actor: Actor) -> None:
    """Its last deployment of a name takes the name off the team's list, which never becomes one of everything."""
    if deployment.team_id is None:
        return
    others = Deployment.objects.filter(team=deployment.team_id, model=deployment.model_id, blocked=False)
    others = others.exclude(pk=deployment.pk)
    team = Team.objects.select_for_update(no_key=True).get(pk=deployment.team_id)
    left = [name for name in team.allowed_models if name != deployment.model.name]
    if left != team.allowed_models and not others.exists():
        team.allowed_models = left or ["no-default-models"]
        update_limits(team, actor=actor)
