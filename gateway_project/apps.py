"""The admin site, put together for the whole project."""

from django.contrib.admin.apps import AdminConfig


class LatchkeyAdminConfig(AdminConfig):
    """Django's admin; the theme replaces its templates and base classes."""
