from importlib import import_module

from django.apps import AppConfig


class KeysConfig(AppConfig):
    name = "keys"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Models exist only now, so what has to be known from the start is imported here."""
        import_module("keys.departures")
