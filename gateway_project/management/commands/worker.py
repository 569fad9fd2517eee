"""`manage.py worker`: the Celery worker alone, with beat unless told otherwise."""

import os
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from gateway_project import processes


class Command(BaseCommand):
    help = "Run scheduled work. Start exactly one with beat."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--no-beat", action="store_true", help="only work, do not schedule")
        parser.add_argument("--concurrency", type=int, default=2)

    def handle(self, *args: Any, no_beat: bool, concurrency: int, **options: Any) -> None:
        command = processes.worker(beat=not no_beat, concurrency=concurrency, schedule=settings.DATA_DIR / "beat")
        os.execv(command[0], command)
