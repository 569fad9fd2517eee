"""A team's list of models follows the models that the team has of its own."""

from proxy.models import Deployment
from teams.actors import Actor
from teams.models import Team
from teams.services import update_limits


def join(deployment: Deployment, actor: Actor) -> None:
    """A team may call its own models; one that may call everything goes on to do so."""
    if deployment.team_id is None:
        return
    team, name = Team.objects.select_for_update(no_key=True).get(pk=deployment.team_id), deployment.model.name
    if name not in team.allowed_models:
        team.allowed_models = [*(team.allowed_models or ["all-proxy-models"]), name]
        update_limits(team, actor=actor)


def leave(deployment: Deployment, actor: Actor) -> None:
    """Its last deployment of a name takes the name off the team's list, which never becomes one of everything."""
    if deployment.team_id is None:
        return
    others = Deployment.objects.filter(team=deployment.team_id, model=deployment.model_id).exclude(pk=deployment.pk)
    team = Team.objects.select_for_update(no_key=True).get(pk=deployment.team_id)
    left = [name for name in team.allowed_models if name != deployment.model.name]
    if left != team.allowed_models and not others.exists():
        team.allowed_models = left or ["no-default-models"]
        update_limits(team, actor=actor)
