"""The counter store as seen from services and tasks: one synchronous client per process.

The gateway's workers have a connection of their own (`proxy.runtime.counters`); the names of the keys
are shared through `teams.scopes`.
"""

from functools import cache

import redis
import structlog
from django.conf import settings

from teams.scopes import store_prefix

log = structlog.get_logger()

_RAISE_ONLY = """
local known = redis.call('HGET', KEYS[1], ARGV[1])
if not known or tonumber(known) < tonumber(ARGV[2]) then redis.call('HSET', KEYS[1], ARGV[1], ARGV[2]) end
return 1
"""


@cache
def client() -> "redis.Redis":
    return redis.Redis.from_url(settings.REDIS_URL, decode_responses=True, socket_timeout=2, socket_connect_timeout=2)


def announce_version(organization_pk: int, scope: str, version: int) -> None:
    """Tell every worker's next hold that `scope` changed.

    Losing this message is safe: workers also read `PolicyChange` every second.
    """
    try:
        client().eval(_RAISE_ONLY, 1, f"{store_prefix(organization_pk)}:ver", scope, version)
    except redis.RedisError as error:
        log.warning("version not announced, workers will poll it", scope=scope, error=type(error).__name__)
