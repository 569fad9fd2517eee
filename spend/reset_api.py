"""POST /key/{key}/reset_spend: a key's budget counts from a lower amount on."""

from django.db import transaction
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from keys.models import VirtualKey
from keys.rights import led_key
from spend.reset_services import reset_spend
from teams.api_base import ApiError, ScopeView
from teams.api_fields import money_of
from teams.money import usd_from_nano
from teams.rows import current_window, usd


class KeyResetSpend(ScopeView):
    detail_errors = True

    @extend_schema(request=OpenApiTypes.OBJECT, responses=OpenApiTypes.OBJECT)
    def post(self, request: Request, key: str) -> Response:
        if self.body.get("reset_to") is None:
            raise ApiError(422, "reset_to: this field is required", param="reset_to")
        to_nano = money_of(self.body["reset_to"], "reset_to")
        now = timezone.now()
        with transaction.atomic():
            row = led_key(self.caller, key, "/key/reset_spend", locked=True)
            before = reset_spend(row, to_nano, actor=self.caller.actor, now=now)
        row = VirtualKey.objects.with_owners().get(pk=row.pk)
        return Response(
            {
                "key_hash": row.token,
                "spend": usd_from_nano(self.spent([row])[row.scope]),
                "previous_spend": usd_from_nano(before),
                "max_budget": usd(row.max_budget_nano),
                "budget_reset_at": current_window(row, now).end,
            }
        )
