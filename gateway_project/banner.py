"""What `manage.py up` prints when it is ready. The demo's secrets are shown, nobody else's."""

import sys

from django.conf import settings

from gateway_project.startup import Demo

_CURL = """curl {url}/v1/chat/completions -H 'Authorization: Bearer {key}' -H 'Content-Type: application/json' \\
  -d '{{"model": "latchkey-demo", "messages": [{{"role": "user", "content": "Hello!"}}]}}'"""


def text(host: str, port: int, demo: Demo | None) -> str:
    url = f"http://{'localhost' if host in ('127.0.0.1', '0.0.0.0', '::') else host}:{port}"  # noqa: S104
    lines = ["", "Latchkey is up.", "", f"  Admin       {url}/admin/"]
    if demo is not None:
        lines.append(f"              sign in as admin with {demo.admin_password or 'the password you gave it'}")
    lines += [f"  Portal      {url}/portal/", f"  API         {url}/v1 (base_url of an OpenAI SDK)"]
    lines.append(f"  Master key  {_place_of_master_key()}")
    lines.append(f"  Engine      {'SQLite' if settings.EMBEDDED else 'PostgreSQL'} in {settings.DATA_DIR}")
    if demo is not None:
        lines += ["", "Try it:", "", _CURL.format(url=url, key=demo.key)]
        others = (
            "Set LATCHKEY_CONFIG for real ones." if not settings.CONFIG_PATH else "Those of LATCHKEY_CONFIG do not."
        )
        lines += ["", f"This is the demo: its own models answer locally and say so. {others}"]
    else:
        lines += ["", f"Create a login for the admin: {sys.executable} manage.py createsuperuser"]
    return "\n".join([*lines, ""])


def _place_of_master_key() -> str:
    kept = settings.DATA_DIR / "secrets" / "latchkey_master_key"
    return f"in {kept}" if settings.DEMO and kept.exists() else "as given in LATCHKEY_MASTER_KEY or the configuration"
