"""Tags that hold who wears them: to take one off is to lift a limit."""

from collections.abc import Iterable

from teams.json_checks import names_in
from teams.models import Project, Tag, Team


def limited_tags(organization_pk: int, names: Iterable[str]) -> list[str]:
    """Those of the names that limit the calls of an organization, or block them, in their order."""
    wanted = list(dict.fromkeys(names))
    if not wanted:
        return []
    rows = Tag.objects.select_related("shared_budget").filter(organization_id=organization_pk, name__in=wanted)
    limited = {tag.name for tag in rows if tag.blocked or not tag.sets_nothing}
    return [name for name in wanted if name in limited]


def tags_of(owner: Team | Project | None) -> list[str]:
    """As every call of the team, or of the project, has them."""
    return names_in(owner.metadata.get("tags")) if owner else []
