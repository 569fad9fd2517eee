"""How the database finds what is asked for: what would hurt only on a huge table shows in the plan on a small one."""

import re
from collections.abc import Callable

from django.db import connection
from django.test.utils import CaptureQueriesContext

#: Tables that grow with keys, calls and changes.
_HUGE = "(keys_virtualkey|spend_ledgerentry|spend_hold|spend_rollup|spend_activity|teams_auditevent|teams_customer)"
#: Sorting within a prefix that an index has in order is fine.
_WHOLE_SORT = re.compile(r"(?<!Incremental )\bSort  \(|USE TEMP B-TREE FOR ORDER BY")
_WHOLE_TABLE = re.compile(rf"Seq Scan on {_HUGE}|SCAN {_HUGE}(?! USING)")


def plans(ask: Callable[[], object]) -> str:
    """The plans of everything that is asked, were it neither to read a whole table nor to sort one."""
    with CaptureQueriesContext(connection) as asked:
        ask()
    lines = []
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SET LOCAL enable_seqscan = off; SET LOCAL enable_sort = off")
        for query in asked.captured_queries:
            if query["sql"].startswith("SELECT") and re.search(_HUGE, query["sql"]):
                cursor.execute(f"{connection.ops.explain_query_prefix()} {query['sql']}")
                lines += [str(row[-1]) for row in cursor.fetchall()]
    return "\n".join(lines)


def wasteful(ask: Callable[[], object]) -> list[str]:
    """Lines of the plans that read or sort a huge table as a whole."""
    return [line for line in plans(ask).splitlines() if _WHOLE_SORT.search(line) or _WHOLE_TABLE.search(line)]
