"""Django settings. Every value comes from the environment; docs/configuration.md lists them all."""

import os
from pathlib import Path
from typing import Any

import structlog
from csp.constants import NONCE, SELF
from django.core.exceptions import ImproperlyConfigured
from django.urls import reverse_lazy

from gateway_project import environment as env
from gateway_project.logs import ShortRefusals, hide_keys
from keys.key_rules import BadKeyRule, read_key_rules
from keys.sealing import derive_key
from proxy.alias_rules import read_aliases
from proxy.config_file import ConfigError, read_config
from proxy.fallback_rules import read_fallbacks
from proxy.gate_rules import BadRule, read_budget_status, read_rules, read_zone
from proxy.pool_rules import read_provider_budgets
from proxy.providers import REGISTRY, usual_address
from proxy.runtime.faults import BadFault
from proxy.runtime.faults import parse as parse_fault
from proxy.version import VERSION
from spend.markups import BadMarkup, read_markups
from teams.people_rules import BadDefault, check_defaults
from teams.platform_rules import BadPlatformRule, read_platform
from teams.windows import BadDuration, duration_delta

BASE_DIR = Path(__file__).resolve().parent.parent
DATA_DIR = Path(env.text("LATCHKEY_DATA_DIR", str(BASE_DIR / "var"))).resolve()

# --- Engine and demo ---------------------------------------------------------------------------
DATABASE_URL = env.text("DATABASE_URL")
EMBEDDED = not DATABASE_URL
CONFIG_PATH = env.text("LATCHKEY_CONFIG")
_theirs = env.text("LITELLM_MASTER_KEY")
_newcomer = EMBEDDED and not CONFIG_PATH and not (env.text("LATCHKEY_MASTER_KEY") or _theirs)
DEMO = env.flag("LATCHKEY_DEMO", _newcomer)
try:
    CONFIG = read_config(CONFIG_PATH, os.environ)
except ConfigError as error:
    raise ImproperlyConfigured(f"LATCHKEY_CONFIG: {error}") from error
#: How long every gateway worker may take to learn of a changed catalog: it looks three times a second.
CATALOG_SECONDS = 0.5
PROVIDER_ADDRESSES = {slug: usual_address(spec, os.environ) for slug, spec in REGISTRY.items()}
GENERAL_SETTINGS, LITELLM_SETTINGS = CONFIG.general, CONFIG.litellm
CALL_DEFAULTS = CONFIG.defaults
try:
    GATE_RULES = read_rules(GENERAL_SETTINGS, CONFIG.router, LITELLM_SETTINGS)
    ZONE = read_zone(LITELLM_SETTINGS)
    FILE_BUDGET_STATUS = read_budget_status(LITELLM_SETTINGS)
    FALLBACKS = read_fallbacks(LITELLM_SETTINGS, CONFIG.router)
    MODEL_ALIASES = read_aliases(LITELLM_SETTINGS, CONFIG.router)
    check_defaults(LITELLM_SETTINGS, GENERAL_SETTINGS)
    KEY_RULES = read_key_rules(GENERAL_SETTINGS, LITELLM_SETTINGS)
    PLATFORM_LIMITS = read_platform(LITELLM_SETTINGS, GENERAL_SETTINGS)
    MARKUPS = read_markups(LITELLM_SETTINGS)
    PROVIDER_BUDGETS = read_provider_budgets(CONFIG.router)
except (BadRule, BadDefault, BadKeyRule, BadPlatformRule, BadMarkup) as error:
    raise ImproperlyConfigured(f"LATCHKEY_CONFIG: {error}") from error

# --- Secrets -----------------------------------------------------------------------------------
_folder = DATA_DIR / "secrets" if EMBEDDED else None
_weak_allowed = DEMO and EMBEDDED
SECRET_KEY = env.secret("SECRET_KEY", folder=_folder, allow_weak=_weak_allowed)
SALT_KEY = env.secret("LATCHKEY_SALT_KEY", folder=_folder, allow_weak=_weak_allowed)
MASTER_KEY = env.secret(
    "LATCHKEY_MASTER_KEY",
    given=CONFIG.master_key or _theirs,
    folder=_folder if DEMO else None,
    prefix="sk-",
    allow_weak=_weak_allowed,
)
SEALING_KEY = derive_key(SALT_KEY, "seal of virtual keys")

# --- Databases and stores ----------------------------------------------------------------------
if EMBEDDED:
    DATABASES: dict[str, dict[str, Any]] = {
        "default": {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": DATA_DIR / "latchkey.sqlite3",
            "OPTIONS": {
                "transaction_mode": "IMMEDIATE",
                "timeout": 20,
                "init_command": "PRAGMA journal_mode=WAL;PRAGMA synchronous=FULL;PRAGMA busy_timeout=20000;",
            },
        }
    }
else:
    DATABASES = {"default": env.postgresql(DATABASE_URL)}

VALKEY_SOCKET = env.socket_path(DATA_DIR / "valkey" / "valkey.sock")
REDIS_URL = env.text("REDIS_URL") or f"unix://{VALKEY_SOCKET}"
EMBEDDED_STORE = not env.text("REDIS_URL")
if not REDIS_URL.startswith(("redis://", "rediss://", "unix://")):
    raise ImproperlyConfigured("REDIS_URL must start with redis://, rediss:// or unix://")
CACHES = {"default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": REDIS_URL}}

# --- Django ------------------------------------------------------------------------------------
DEBUG = False
ALLOWED_HOSTS = env.words("ALLOWED_HOSTS", "localhost,127.0.0.1,0.0.0.0,[::1]" if EMBEDDED else "")
CSRF_TRUSTED_ORIGINS = env.words("CSRF_TRUSTED_ORIGINS")
SECURE_COOKIES = env.flag("LATCHKEY_SECURE_COOKIES", not EMBEDDED)
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE_COOKIES
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if env.flag("LATCHKEY_TRUST_PROXY", False) else None
ROOT_URLCONF = "gateway_project.urls"
ASGI_APPLICATION = "gateway_project.asgi.application"
AUTH_USER_MODEL = "teams.User"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
APPEND_SLASH = False
USE_TZ, TIME_ZONE, LANGUAGE_CODE = True, "UTC", "en-us"
LOGIN_URL = reverse_lazy("admin:login")
LOGIN_REDIRECT_URL = reverse_lazy("admin:index")
DATA_UPLOAD_MAX_MEMORY_SIZE = 5 * 1024 * 1024

INSTALLED_APPS = [
    "unfold.apps.BasicAppConfig",
    "unfold.contrib.filters",
    "gateway_project.apps.ProjectConfig",
    "gateway_project.apps.LatchkeyAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "csp",
    "django_filters",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "teams",
    "keys",
    "spend",
    "proxy",
]
MIDDLEWARE = [
    "gateway_project.api_health.Probes",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
AUTHENTICATION_BACKENDS = ["gateway_project.sign_in.MasterKeyBackend", "gateway_project.sign_in.PeopleBackend"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
STATIC_URL = "/static/"
STATIC_ROOT = Path(env.text("LATCHKEY_STATIC_DIR", str(BASE_DIR / "staticfiles")))
STATICFILES_DIRS = [BASE_DIR / "static"]
# The admin's theme runs Alpine.js, which evaluates expressions; nothing else is allowed to.
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "script-src": [SELF, NONCE, "'unsafe-eval'"],
        "style-src": [SELF, "'unsafe-inline'"],
        "img-src": [SELF, "data:"],
        "frame-ancestors": ["'none'"],
        "form-action": [SELF],
        "base-uri": [SELF],
    }
}

# --- Management API ----------------------------------------------------------------------------
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["gateway_project.api_auth.KeyAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["gateway_project.api_access.MayCall"],
    "DEFAULT_RENDERER_CLASSES": ["gateway_project.api_json.ExactJSONRenderer"],
    "DEFAULT_PARSER_CLASSES": [
        "gateway_project.api_json.StrictJSONParser",
        "gateway_project.api_json.MiscalledJSONParser",
    ],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "gateway_project.api_errors.handle",
    "UNAUTHENTICATED_USER": None,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Latchkey management API",
    "VERSION": VERSION,
    "OAS_VERSION": "3.1.0",
    "PARSER_WHITELIST": ["gateway_project.api_json.StrictJSONParser"],
    "POSTPROCESSING_HOOKS": ["gateway_project.api_document.complete"],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
}
BUDGET_STATUS = int(env.choice("LATCHKEY_BUDGET_STATUS", "429", ("400", "402", "422", "429")))
if not os.environ.keys() & {"LATCHKEY_BUDGET_STATUS", "LATCHKEY_BUDGET_STATUS_FILE"}:
    BUDGET_STATUS = FILE_BUDGET_STATUS or BUDGET_STATUS

try:
    KEY_ROTATION_GRACE = duration_delta(env.text("LATCHKEY_KEY_ROTATION_GRACE", "24h"))
except BadDuration as error:
    raise ImproperlyConfigured(f"LATCHKEY_KEY_ROTATION_GRACE: {error}") from error

# --- Gateway -----------------------------------------------------------------------------------
DURABILITY = env.choice("LATCHKEY_DURABILITY", "strict", ("strict", "fast"))
MAX_BODY_BYTES = env.number("LATCHKEY_MAX_BODY_BYTES", 20 * 1024 * 1024, least=1024)
HOLD_LEASE_SECONDS = env.number("LATCHKEY_HOLD_LEASE_SECONDS", 60, least=5)
CORS_ORIGINS = env.words("LATCHKEY_CORS_ORIGINS", "*")
TEAM_MODEL_HOSTS = env.words("LATCHKEY_TEAM_MODEL_HOSTS")
REFUSALS_KEPT_DAYS = env.number("LATCHKEY_REFUSALS_KEPT_DAYS", 7, least=1)
DEFAULT_OUTPUT_TOKENS = env.number("LATCHKEY_DEFAULT_OUTPUT_TOKENS", 16384, least=1)
UNBUDGETED_WITHOUT_STORE = env.choice("LATCHKEY_UNBUDGETED_WITHOUT_STORE", "allow", ("allow", "deny")) == "allow"
BUDGETS_WITHOUT_STORE = env.choice("LATCHKEY_BUDGETS_WITHOUT_STORE", "deny", ("deny", "pg_exact", "allowance"))
TAKEOVER_MS = env.number("LATCHKEY_TAKEOVER_MS", 1000)
OUTAGE_ALLOWANCE_NANO = env.number("LATCHKEY_OUTAGE_ALLOWANCE_NANO", 1_000_000_000)
BUDGETS_WITHOUT_DATABASE = env.choice("LATCHKEY_BUDGETS_WITHOUT_DATABASE", "deny", ("deny", "spool"))
UNBUDGETED_WITHOUT_DATABASE = env.choice("LATCHKEY_UNBUDGETED_WITHOUT_DATABASE", "spool", ("deny", "spool"))
SPOOL_BYTES = env.number("LATCHKEY_SPOOL_BYTES", 64 * 1024 * 1024, least=65536)
SPOOL_SECONDS = env.number("LATCHKEY_SPOOL_SECONDS", 60)
for _name, _chosen in (("STORE", BUDGETS_WITHOUT_STORE), ("DATABASE", BUDGETS_WITHOUT_DATABASE)):
    if DURABILITY == "fast" and _chosen != "deny":
        raise ImproperlyConfigured(
            f"LATCHKEY_BUDGETS_WITHOUT_{_name} must be 'deny' where LATCHKEY_DURABILITY is 'fast': the counter store "
            "then keeps the intents"
        )
CUT_REVOKED_STREAMS = env.flag("LATCHKEY_CUT_REVOKED_STREAMS", True)
CLIENT_STALL_SECONDS = env.number("LATCHKEY_CLIENT_STALL_SECONDS", 60, least=1)
DRAIN_SECONDS = env.number("LATCHKEY_DRAIN_SECONDS", 300)
FAULT_AT = env.text("LATCHKEY_FAULT_AT")
try:
    parse_fault(FAULT_AT)
except BadFault as error:
    raise ImproperlyConfigured(f"LATCHKEY_FAULT_AT: {error}") from error
STORE_TIMEOUT_MS = env.number("LATCHKEY_STORE_TIMEOUT_MS", 200, least=50)
DATABASE_TIMEOUT_MS = env.number("LATCHKEY_DATABASE_TIMEOUT_MS", 3000, least=100)
ADMIN_PASSWORD = env.text("LATCHKEY_ADMIN_PASSWORD")

# --- Celery ------------------------------------------------------------------------------------
CELERY_BROKER_URL = REDIS_URL.replace("unix://", "redis+socket://", 1)
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_IGNORE_RESULT = True
CELERY_TIMEZONE = "UTC"
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
_EVERY_SECONDS = {
    "proxy.tasks.sweep_orphans": 10,
    "proxy.tasks.mend_drift": 60,
    "keys.tasks.note_expired_keys": 60,
    "keys.tasks.rotate_keys": 300,
    "keys.tasks.forget_answers": 3600,
    "spend.tasks.forget_refusals": 3600,
    "spend.tasks.seed_prices": 86400,
    "spend.tasks.reload_prices": 300,
    "spend.tasks.close_days": 900,
    "teams.tasks.forget_policy_changes": 3600,
}
# What waited until the next of its kind is due is dropped: workers that were away do not catch up on all of it.
CELERY_BEAT_SCHEDULE = {
    task: {"task": task, "schedule": seconds, "options": {"expires": seconds}}
    for task, seconds in _EVERY_SECONDS.items()
}

# --- Logging -----------------------------------------------------------------------------------
LOG_LEVEL = env.choice("LOG_LEVEL", "INFO", ("DEBUG", "INFO", "WARNING", "ERROR"))
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "json": {
            "()": structlog.stdlib.ProcessorFormatter,
            "processors": [
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                hide_keys,
                structlog.processors.JSONRenderer(),
            ],
            "foreign_pre_chain": [
                structlog.stdlib.add_log_level,
                structlog.processors.TimeStamper(fmt="iso", utc=True),
            ],
        }
    },
    "filters": {"short_refusals": {"()": ShortRefusals}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "json", "filters": ["short_refusals"]}},
    "root": {"handlers": ["stderr"], "level": LOG_LEVEL},
    "loggers": {name: {"level": "WARNING"} for name in ("uvicorn.access", "aiohttp.access", "celery")},
}
structlog.configure(
    processors=[
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
    ],
    logger_factory=structlog.stdlib.LoggerFactory(),
    cache_logger_on_first_use=True,
)

# --- Admin theme -------------------------------------------------------------------------------
from gateway_project.theme import UNFOLD  # noqa: E402, F401  (a settings name, kept in its own file)
