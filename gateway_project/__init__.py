"""Puts the apps together: settings, URLs, ASGI, Celery, commands."""

from gateway_project.celery import app as celery_app

__all__ = ["celery_app"]
