"""However many rows there are: a call pays for no index that nothing needs, and what is looked up is found by one."""

import pytest
from django.db import connection
from django.db.models import Model, UniqueConstraint

from spend import services
from spend.models import Activity, Hold, LedgerEntry, Rollup
from tests.factories import NOON
from tests.plans import plans

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("model", [Hold, LedgerEntry, Rollup, Activity])
def test_a_call_pays_for_no_index_that_the_model_does_not_name(model: type[Model]) -> None:
    """Django would add one for each foreign key, and on PostgreSQL a second one for each indexed column of text."""
    with connection.cursor() as cursor:
        found = connection.introspection.get_constraints(cursor, model._meta.db_table)
    indexes = {name for name, each in found.items() if each["index"] or each["unique"]}
    primary = {name for name in indexes if found[name]["primary_key"] or name.startswith("sqlite_autoindex_")}
    named = {index.name for index in model._meta.indexes}
    named |= {each.name for each in model._meta.constraints if isinstance(each, UniqueConstraint)}
    assert indexes - primary == named


def test_what_holds_cost_is_found_by_index() -> None:
    with connection.cursor() as cursor:
        # While there are none, an index of all corrections is as good as that of their holds.
        cursor.execute("DROP INDEX spend_entry_corrected")
    found = plans(lambda: list(LedgerEntry.objects.of_holds(["a", "b"])))
    assert "spend_one_charge_per_hold" in found
    assert "spend_entry_correction" in found


def test_late_holds_are_looked_for_among_those_in_flight() -> None:
    assert "spend_hold_pending" in plans(lambda: services.late_holds(now=NOON))
