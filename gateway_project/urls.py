"""Everything Django serves. LLM routes never come here: see `gateway_project.asgi`."""

from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("admin/", admin.site.urls),
    path("", include("gateway_project.api")),
]
