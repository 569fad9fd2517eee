"""Which entries were posted late: when their UTC day may have been summed up already."""

from typing import Any

from django.db.models import BooleanField, Func


class PostedLate(Func):
    """Of an entry's `posted_at` and `admitted_at`: whether it was posted an hour after the end of its day, or later.

    Days are summed up two hours after their end at the earliest; the other hour is for clocks that differ, and for
    what takes long to commit. In words of the database itself, so that an index can have it as its condition.
    """

    output_field = BooleanField()
    arity = 2

    def as_postgresql(self, compiler: Any, connection: Any, **extra: Any) -> Any:
        between = " AT TIME ZONE 'UTC' - INTERVAL '1 hour')::date > ("
        template = "((%(expressions)s AT TIME ZONE 'UTC')::date)"
        return self.as_sql(compiler, connection, template=template, arg_joiner=between, **extra)

    def as_sqlite(self, compiler: Any, connection: Any, **extra: Any) -> Any:
        between, template = ", '-1 hour') > date(", "(date(%(expressions)s))"
        return self.as_sql(compiler, connection, template=template, arg_joiner=between, **extra)
