"""Settings of the test suite: the embedded engine in a folder of its own, whatever the caller's environment says."""

import atexit
import os
import shutil
import tempfile

#: The suite runs on the embedded engine, or on the PostgreSQL server that this names (see tests/with_postgres).
_database = os.environ.get("TEST_DATABASE_URL", "")
#: How hard the scenarios try is nothing that Latchkey is told.
_ours = ("LATCHKEY_SOAK", "LATCHKEY_SEED")
for _name in [name for name in os.environ if name.startswith("LATCHKEY_") and name not in _ours]:
    del os.environ[_name]
for _name in ("DATABASE_URL", "REDIS_URL", "SECRET_KEY", "ALLOWED_HOSTS", "CSRF_TRUSTED_ORIGINS", "LOG_LEVEL"):
    os.environ.pop(_name, None)
    os.environ.pop(f"{_name}_FILE", None)

#: One folder per process, so parallel workers never share a store or a database.
_folder = tempfile.mkdtemp(prefix="latchkey-test-")
atexit.register(shutil.rmtree, _folder, ignore_errors=True)

os.environ |= {
    "LATCHKEY_DATA_DIR": _folder,
    "LATCHKEY_DEMO": "1",
    "LATCHKEY_MASTER_KEY": "sk-test-master-4fQ9zLw27NcXbT6e",
    "LATCHKEY_TEAM_MODEL_HOSTS": "llm.example.com",
    "LATCHKEY_SALT_KEY": "salt-of-the-tests-8Hk3Vd51RmYp",
    "SECRET_KEY": "django-secret-of-the-tests-Jx72bQnLs0",
    "ALLOWED_HOSTS": "localhost,127.0.0.1,testserver",
    "LOG_LEVEL": "WARNING",
}
if _database:
    os.environ["DATABASE_URL"] = _database

from gateway_project.settings import *  # noqa: E402, F403  (the environment comes first)

if _database:
    # A pool keeps connections open, and a database with open connections cannot be dropped after the tests.
    del DATABASES["default"]["OPTIONS"]["pool"]  # noqa: F405
CATALOG_SECONDS = 0
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
WHITENOISE_AUTOREFRESH = True
CELERY_TASK_ALWAYS_EAGER = True
CELERY_TASK_EAGER_PROPAGATES = True
