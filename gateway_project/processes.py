"""The command lines of Latchkey's processes."""

import os
import shutil
import sys
from pathlib import Path

from gateway_project.supervisor import Child

_BIN = Path(sys.executable).parent


def server(role: str, *, host: str, port: int, workers: int) -> list[str]:
    """Gunicorn with uvicorn's worker. `role`: all, gateway or web."""
    metrics = Path(_scratch()) / f"latchkey-metrics-{port}"
    shutil.rmtree(metrics, ignore_errors=True)
    metrics.mkdir(mode=0o700)
    os.environ |= {"LATCHKEY_ROLE": role, "LATCHKEY_WORKERS": str(workers), "PROMETHEUS_MULTIPROC_DIR": str(metrics)}
    return [
        str(_BIN / "gunicorn"),
        "gateway_project.asgi:application",
        "--worker-class=gateway_project.workers.GatewayWorker",
        f"--bind={host}:{port}",
        f"--workers={workers}",
        "--timeout=120",
        # Longer than clients and balancers keep a connection: who closes first loses no request on its way.
        "--keep-alive=75",
        # Calls get 60 seconds to end (`GatewayWorker`), and what they cost 30 to be posted.
        "--graceful-timeout=100",
        "--no-control-socket",
        "--log-level=warning",
        f"--worker-tmp-dir={_scratch()}",
    ]


def worker(*, beat: bool, concurrency: int, schedule: Path) -> list[str]:
    command = [str(_BIN / "celery"), "--quiet", "--app=gateway_project", "worker"]
    command += [f"--concurrency={concurrency}", "--without-gossip", "--without-mingle"]
    return command + ([f"--schedule={schedule}", "--beat"] if beat else [])


def demo_provider(port: int) -> Child:
    command = [str(_BIN / "uvicorn"), "proxy.demo.app:app", "--host=127.0.0.1", f"--port={port}"]
    return Child("the demo provider", [*command, "--log-level=warning"], grace_seconds=10)


def _scratch() -> str:
    """Gunicorn's heartbeat files belong in memory where the system has it."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else "/tmp"  # noqa: S108
