"""Models of a team leave with it, with their secrets."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from proxy import services
from proxy.models import Deployment
from teams.actors import Actor
from teams.departures import on_departure


@on_departure
def delete_models_of(owners: Mapping[str, Any], actor: Actor, now: datetime) -> None:
    """Delete the models of a team that is deleted; somebody who only leaves it takes none along."""
    if owners.keys() != {"team"}:
        return
    team = owners["team"]
    for deployment in Deployment.objects.with_owners().filter(team=team).order_by("pk"):
        services.delete_deployment(deployment, actor=actor)
    # Its list of models has changed meanwhile, and whoever archives it saves it whole.
    team.refresh_from_db()
