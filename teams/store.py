"""The counter store as seen from services and tasks: one synchronous client per process.

The gateway's workers have a connection of their own (`proxy.runtime.counters`); the names of the keys
are shared through `teams.scopes`.
"""

from functools import cache

import redis
import structlog
from django.conf import settings

from teams.scopes import PUBLISH_EPOCH, store_prefix

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

    Losing this message is safe: workers also read `PolicyChange` a few times a second.
    """
    try:
        client().eval(_RAISE_ONLY, 1, f"{store_prefix(organization_pk)}:ver", scope, version)
    except redis.RedisError as error:
        log.warning("version not announced, workers will poll it", scope=scope, error=type(error).__name__)


def announce_epoch(organization_pk: int, epoch: int) -> None:
    """Publish an epoch that the caller has just raised and committed.

    Losing this message is safe: the first hold whose intent the database refuses raises the epoch again.
    """
    try:
        client().eval(PUBLISH_EPOCH, 1, store_prefix(organization_pk), epoch)
    except redis.RedisError as error:
        log.warning("epoch not announced, the gateway will raise it", error=type(error).__name__)
