"""The admin site, put together for the whole project."""

from django.apps import AppConfig
from django.contrib.admin.apps import AdminConfig


class LatchkeyAdminConfig(AdminConfig):
    """Django's admin with our site; the theme replaces its templates and base classes."""

    default_site = "gateway_project.admin_site.LatchkeySite"


class ProjectConfig(AppConfig):
    """Makes the project's commands known."""

    name = "gateway_project"
