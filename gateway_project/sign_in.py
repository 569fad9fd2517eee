"""Signing in with the master key, and by a form that a script sends, as clients of LiteLLM do."""

import hmac
from typing import Any

from django.conf import settings
from django.contrib.auth import authenticate, login
from django.contrib.auth.backends import ModelBackend
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from gateway_project.admin_site import too_many
from teams import services
from teams.actors import ADMIN_LOGIN
from teams.models import User


class PeopleBackend(ModelBackend):
    """Whoever is blocked signs in no more, and open sessions of theirs end."""

    def user_can_authenticate(self, user: Any) -> bool:
        return super().user_can_authenticate(user) and not user.blocked


class MasterKeyBackend(ModelBackend):
    """The master key is the password of `admin`, beside the account's own."""

    def authenticate(
        self, request: HttpRequest | None, username: str | None = None, password: str | None = None, **_: Any
    ) -> User | None:
        if (
            username != ADMIN_LOGIN
            or not password
            or not hmac.compare_digest(password.encode(), settings.MASTER_KEY.encode())
        ):
            return None
        account = services.master_admin(ADMIN_LOGIN)
        return account if account.is_superuser and self.user_can_authenticate(account) else None


@csrf_exempt
@sensitive_post_parameters("password")
@require_http_methods(["GET", "HEAD", "POST"])
def sign_in(request: HttpRequest) -> HttpResponse:
    """A script's form opens a session. A browser's says where it comes from, and is sent to the form with a token."""
    if request.method != "POST" or request.headers.get("Origin"):
        return _go_on(settings.LOGIN_URL)
    if too_many(request):
        return _refused(429, "Too many attempts: wait a minute", **{"Retry-After": "60"})
    account = authenticate(request, username=request.POST.get("username"), password=request.POST.get("password"))
    if account is None:
        return _refused(401, "Invalid credentials: username and password of an account are expected in a form")
    login(request, account)
    return _go_on("admin:index" if account.is_staff else "portal")


def _go_on(place: Any) -> HttpResponse:
    answer = redirect(place)
    answer.status_code = 303
    return answer


def _refused(status: int, message: str, **headers: str) -> JsonResponse:
    error = {"message": message, "type": "auth_error", "param": None, "code": str(status)}
    return JsonResponse({"error": error}, status=status, headers=headers)
