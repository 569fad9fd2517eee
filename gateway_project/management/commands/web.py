"""`manage.py web`: the web alone, for installations on several machines."""

import os
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from gateway_project import processes


class Command(BaseCommand):
    help = "Serve the web alone. Run `manage.py migrate` first."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--host", default="127.0.0.1")
        parser.add_argument("--port", type=int, default=4000)
        parser.add_argument("--workers", type=int, default=1)

    def handle(self, *args: Any, host: str, port: int, workers: int, **options: Any) -> None:
        command = processes.server("web", host=host, port=port, workers=workers)
        os.execv(command[0], command)
