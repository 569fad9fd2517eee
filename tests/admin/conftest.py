"""Signed-in browsers, and a few rows made through the services."""

import pytest
from django.test import Client

from keys import services as key_services
from keys.models import VirtualKey
from proxy import services as proxy_services
from teams import services
from teams.actors import SYSTEM
from teams.models import Team, User


@pytest.fixture
def browser(client: Client, ada: User) -> Client:
    """Ada, a platform admin, is signed in."""
    client.force_login(ada)
    return client


@pytest.fixture
def viewer(organization: object) -> User:
    """Read-only platform admin without any of Django's own permissions."""
    person = User(username="vera", email="vera@example.com", role=User.Role.PROXY_ADMIN_VIEWER, is_staff=True)
    return services.create_user(person, actor=SYSTEM)


@pytest.fixture
def viewing(viewer: User) -> Client:
    client = Client()
    client.force_login(viewer)
    return client


@pytest.fixture
def key(search: Team) -> VirtualKey:
    key = VirtualKey(alias="search-prod", team=search, max_budget_nano=10 * 10**9, budget_duration="30d")
    key_services.issue_key(key, actor=SYSTEM)
    return key


@pytest.fixture
def providers(db: None) -> None:
    proxy_services.sync_providers()


def form_of(response: object) -> dict[str, object]:
    """What a browser would post back from a form page: the initial value of every field."""
    form = response.context["adminform"].form  # type: ignore[attr-defined]
    data: dict[str, object] = {}
    for name, field in form.fields.items():
        value = field.prepare_value(form.get_initial_for_field(field, name))
        if hasattr(field.widget, "decompress"):
            parts = field.widget.decompress(value)
            data |= {f"{name}_{i}": "" if part is None else part for i, part in enumerate(parts)}
        elif value is True:
            data[name] = "on"
        elif value not in (None, False):
            data[name] = getattr(value, "pk", value)
    for inline in response.context["inline_admin_formsets"]:  # type: ignore[attr-defined]
        management = inline.formset.management_form
        data |= {management.add_prefix(name): management.initial[name] for name in management.initial}
    return data
