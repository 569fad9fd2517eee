"""Database triggers that make a table append-only, for use in migrations. Pure: SQL text only."""

from typing import Any

from django.db.migrations.operations.special import RunPython

_FUNCTION = """
CREATE OR REPLACE FUNCTION latchkey_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION '% is append-only', TG_TABLE_NAME; END $$
"""


def append_only(table: str) -> RunPython:
    """A migration operation that has the database refuse UPDATE, DELETE and TRUNCATE on `table`.

    Repeat it after a change of the table's columns: SQLite then makes the table anew, without its triggers.
    """

    def create(apps: Any, schema_editor: Any) -> None:
        drop(apps, schema_editor)
        for statement in _statements(schema_editor.connection.vendor, table):
            schema_editor.execute(statement, params=None)

    def drop(apps: Any, schema_editor: Any) -> None:
        suffix = f" ON {table}" if schema_editor.connection.vendor == "postgresql" else ""
        for event in ("update", "delete", "truncate"):
            schema_editor.execute(f"DROP TRIGGER IF EXISTS {table}_no_{event}{suffix}")

    return RunPython(create, drop)


def _statements(vendor: str, table: str) -> list[str]:
    if vendor == "postgresql":
        rows = [
            f"CREATE TRIGGER {table}_no_{event} BEFORE {event} ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION latchkey_append_only()"
            for event in ("update", "delete", "truncate")
        ]
        return [_FUNCTION, *rows]
    return [
        f"CREATE TRIGGER {table}_no_{event} BEFORE {event} ON {table} "
        f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
        for event in ("update", "delete")
    ]
