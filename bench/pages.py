"""What a report or an admin list takes, and how many queries: `python -m bench.pages PATH...` inside Latchkey's own
environment, as a process of its own (it is the only part of the benchmark that knows Django). Writes JSON."""

import json
import os
import sys
import time
from typing import Any

import django
from django.contrib.auth import get_user_model
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

_TIMES = 7


def visit(client: Any, path: str, headers: dict[str, str]) -> dict[str, Any]:
    """Time (ms, of the fastest visit: others may be busy) and queries of one page; two visits before warm caches."""
    took, queries, status = [], 0, 0
    for number in range(_TIMES + 2):
        with CaptureQueriesContext(connection) as captured:
            start = time.perf_counter()
            answer = client.get(path, headers=headers)
            answer.getvalue()
            status, queries = answer.status_code, len(captured)
        if status != 200:
            break
        if number >= 2:
            took.append((time.perf_counter() - start) * 1000)
    return {"path": path, "status": status, "queries": queries, "ms": min(took or [0])}


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "gateway_project.settings")
    django.setup()
    admin = get_user_model().objects.filter(is_superuser=True).first()
    assert admin is not None, "no superuser: LATCHKEY_ADMIN_PASSWORD was not set"
    visitor, automation = Client(SERVER_NAME="127.0.0.1"), Client(SERVER_NAME="127.0.0.1")
    visitor.force_login(admin)
    bearer = {"authorization": f"Bearer {os.environ['LATCHKEY_MASTER_KEY']}"}
    paths = sys.argv[1:]
    found = [
        visit(visitor, path, {}) if path.startswith("/admin") else visit(automation, path, bearer) for path in paths
    ]
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
