"""What `manage.py gateway` and `manage.py web` share: the same server with one role alone."""

import os
from argparse import ArgumentParser
from typing import Any, ClassVar

from django.core.management.base import BaseCommand

from gateway_project import processes


class RoleCommand(BaseCommand):
    role: ClassVar[str]

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default 127.0.0.1)")
        parser.add_argument("--port", type=int, default=4000, help="port to listen on (default 4000)")
        parser.add_argument("--workers", type=int, default=1, help="server processes (default 1)")

    def handle(self, *args: Any, host: str, port: int, workers: int, **options: Any) -> None:
        command = processes.server(self.role, host=host, port=port, workers=workers)
        os.execv(command[0], command)
