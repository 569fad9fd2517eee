"""Everything Django serves. LLM routes never come here: see `gateway_project.asgi`."""

from django.contrib import admin
from django.urls import path

urlpatterns = [
    path("admin/", admin.site.urls),
]
