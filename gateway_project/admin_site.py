"""The admin site: sign-in with a rate limit, and password changes through the service."""

import ipaddress
from typing import Any, cast

import structlog
from django.conf import settings
from django.contrib.auth.views import PasswordChangeView
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django_ratelimit.core import is_ratelimited
from redis.exceptions import RedisError
from unfold.forms import AdminOwnPasswordChangeForm
from unfold.sites import UnfoldAdminSite

from teams import services
from teams.admin_base import actor_of

log = structlog.get_logger()
SIGN_IN_RATE = "10/m"


class PasswordForm(AdminOwnPasswordChangeForm):
    """Somebody's own password, changed by the service so that the audit trail has it."""

    request: HttpRequest

    def save(self, commit: bool = True) -> Any:
        return services.set_password(self.user, self.cleaned_data["new_password1"], actor=actor_of(self.request))


class PasswordView(PasswordChangeView):
    form_class = PasswordForm

    def get_form(self, form_class: Any = None) -> Any:
        form: Any = super().get_form(form_class)
        form.request = self.request
        return form


class LatchkeySite(UnfoldAdminSite):
    index_title = "Dashboard"

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        if request.method == "POST" and too_many(request):
            context = {**self.each_context(request), "title": "Too many attempts"}
            response = TemplateResponse(request, "admin/too_many.html", context, status=429)
            response["Retry-After"] = "60"
            return response
        answer: HttpResponse = super().login(request, extra_context)
        return answer

    def search(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """The theme's search box is not shown; it would keep names of objects in the cache."""
        raise Http404

    def password_change(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        request.current_app = self.name
        view = PasswordView.as_view(
            success_url=reverse(f"{self.name}:password_change_done"),
            extra_context={**self.each_context(request), **(extra_context or {})},
        )
        return cast(HttpResponse, view(request))


def too_many(request: HttpRequest) -> bool:
    """Whether this address signs in too often. With the counter store down nobody is kept out."""
    try:
        return bool(
            is_ratelimited(request, group="sign-in", key=client_key, rate=SIGN_IN_RATE, method="POST", increment=True)
        )
    except (RedisError, OSError) as error:
        log.warning("sign_in_rate_unknown", error=type(error).__name__)
        return False


def client_key(group: str, request: HttpRequest) -> str:
    """The client's address; behind a trusted proxy the one that the proxy saw. IPv6 counts per /64."""
    address = request.META.get("REMOTE_ADDR", "")
    forwarded = request.META.get("HTTP_X_FORWARDED_FOR", "")
    if settings.SECURE_PROXY_SSL_HEADER and forwarded:
        address = forwarded.rpartition(",")[2].strip()
    try:
        known = ipaddress.ip_address(address)
    except ValueError:
        return "unknown"
    return str(ipaddress.ip_network(f"{known}/64", strict=False)) if known.version == 6 else address
