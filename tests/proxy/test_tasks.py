"""Work on calls that an outage interrupts is left to the next run, without the noise of a failure."""

from unittest import mock

import pytest
import redis
from django.db import OperationalError

from proxy import tasks


@pytest.mark.parametrize("error", [OperationalError("gone"), redis.ConnectionError("gone")])
@pytest.mark.parametrize(("task", "work"), [("sweep_orphans", "sweep"), ("mend_drift", "drift.mend")])
def test_a_service_that_is_away_is_no_failure_of_a_task(task: str, work: str, error: Exception) -> None:
    with mock.patch(f"proxy.tasks.{work}", side_effect=error):
        assert getattr(tasks, task)() == 0
    with mock.patch(f"proxy.tasks.{work}", side_effect=ValueError("a bug")), pytest.raises(ValueError, match="a bug"):
        getattr(tasks, task)()
