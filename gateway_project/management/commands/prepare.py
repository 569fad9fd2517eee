"""`manage.py prepare`: everything that has to be in place before the processes of an installation start."""

from typing import Any

import structlog
from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand
from django.utils import timezone

from gateway_project import startup

log = structlog.get_logger()


class Command(BaseCommand):
    help = "Migrate, and load providers, prices and the configuration file. Run it once before other processes start."

    def handle(self, *args: Any, **options: Any) -> None:
        call_command("migrate", interactive=False, verbosity=0)
        for warning in settings.CONFIG.warnings:
            log.warning("configuration", problem=warning)
        startup.prepare(now=timezone.now())
        _collect_static()


def _collect_static() -> None:
    """Pages without styles would be the first thing that somebody sees who skipped a step."""
    if settings.STATIC_ROOT.is_dir() and any(settings.STATIC_ROOT.iterdir()):
        return
    try:
        call_command("collectstatic", interactive=False, verbosity=0)
    except OSError as error:
        log.warning("pages have no styles: LATCHKEY_STATIC_DIR cannot be written to", error=error.strerror)
