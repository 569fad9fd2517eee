"""Django's PostgreSQL, with a pool that finds its way back after an outage."""

from typing import Any

from django.db.backends.postgresql import base
from psycopg_pool import PoolTimeout


class DatabaseWrapper(base.DatabaseWrapper):
    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        """Raises PoolTimeout, for which Django says OperationalError, after twice the pool's `timeout`.

        After an outage everything that lay in the pool is broken. The pool finds that out of one connection at a time,
        and pauses longer after each, so that requests are refused long after the database is back. So all are looked at
        at once (psycopg/psycopg#701), and then it is asked again.
        """
        try:
            return super().get_new_connection(conn_params)
        except PoolTimeout:
            self.pool.check()
            return super().get_new_connection(conn_params)
