"""The developer's front page."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe


@require_safe
def index(request: HttpRequest) -> HttpResponse:
    """How to point an SDK at this gateway."""
    return render(request, "portal/index.html", {"base_url": request.build_absolute_uri("/v1")})
