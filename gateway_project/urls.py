"""Everything Django serves. LLM routes never come here: see `gateway_project.asgi`."""

from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView

from gateway_project import admin_spend, portal, sign_in

admin_spend.register()

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="portal")),
    path("portal/", portal.index, name="portal"),
    path("login", sign_in.sign_in, name="sign-in"),
    path("admin/", admin.site.urls),
    path("", include("gateway_project.api")),
]

handler404 = "gateway_project.api_errors.not_found"
