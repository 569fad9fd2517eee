"""/global/budget: what all organizations together may spend, and how fast."""

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from django.db import transaction
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from spend.rollups import counted_by_slice
from spend.wire import CounterRef
from teams import platform_services
from teams.api_base import ManagementView
from teams.api_fields import TextField
from teams.limit_serializers import TermsSerializer
from teams.models import Platform
from teams.money import usd_from_nano
from teams.promises import refuse_promises
from teams.rows import Row, reset_at, terms_row
from teams.windows import window_at


class PlatformSerializer(TermsSerializer):
    timezone = TextField(max_length=64, required=False)

    columns = TermsSerializer.columns | {"timezone"}


class GlobalBudget(ManagementView):
    """GET what is in force and what was spent; POST is a merge patch: an omitted field keeps its value, null clears it.

    What the configuration file sets (`from_file`) it sets again at the next start.
    """

    detail_errors = True

    @extend_schema(request=None, responses=OpenApiTypes.OBJECT)
    def get(self, request: Request) -> Response:
        return Response(_row(platform_services.platform(), timezone.now()))

    @extend_schema(request=PlatformSerializer, responses=OpenApiTypes.OBJECT)
    def post(self, request: Request) -> Response:
        refuse_promises(self.body)
        with transaction.atomic():
            platform = platform_services.platform(locked=True)
            body = PlatformSerializer(platform, data=self.body, partial=True)
            body.is_valid(raise_exception=True)
            platform_services.update_platform(body.apply(platform), actor=self.caller.actor)
            body.refuse_other_reset(platform, ZoneInfo(platform.timezone))
        return Response(_row(platform, timezone.now()))


def _row(platform: Platform, now: datetime) -> Row:
    """The main budget's window, in the words of shared budgets, with what was spent in it."""
    duration, anchor = platform.schedule
    window = window_at(duration, now, zone=ZoneInfo(platform.timezone), anchor=anchor)
    spent = sum(counted_by_slice(CounterRef(platform.scope, "", window)).values())
    fields: dict[str, Any] = terms_row(platform)
    return {
        "spend": usd_from_nano(spent),
        **fields,
        "budget_reset_at": reset_at(window),
        "timezone": platform.timezone,
        "from_file": platform.from_file,
    }
