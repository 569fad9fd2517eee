"""The Celery application. The schedule is in settings; every task takes its clock and may run twice."""

import os
from typing import Any

from celery import Celery
from celery.signals import setup_logging

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "gateway_project.settings")

app = Celery("latchkey")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


def _keep_logging(**_: Any) -> None:
    """Celery sets up no logging of its own where somebody listens: the settings' lines are JSON and show no key."""


setup_logging.connect(_keep_logging)
