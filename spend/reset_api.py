"""What the budget of a key, or of a member of a team, counts is set back."""

from django.db import transaction
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from keys.models import VirtualKey
from keys.rights import judge_reset, led_key
from spend.reset_services import reset_spend
from teams.api_base import ApiError, ScopeView
from teams.api_fields import money_of
from teams.finding import find_member, managed_team
from teams.money import usd_from_nano
from teams.rows import current_window, reset_at, usd


class KeyResetSpend(ScopeView):
    detail_errors = True

    @extend_schema(request=OpenApiTypes.OBJECT, responses=OpenApiTypes.OBJECT)
    def post(self, request: Request, key: str) -> Response:
        if self.body.get("reset_to") is None:
            raise ApiError(422, "reset_to: this field is required", param="reset_to")
        to_nano = money_of(self.body["reset_to"], "reset_to")
        now = timezone.now()
        with transaction.atomic():
            row = led_key(self.caller, key, "/key/{key_id}/reset_spend", locked=True)
            judge_reset(self.caller, row)
            before = reset_spend(row, to_nano, actor=self.caller.actor, now=now)
        row = VirtualKey.objects.with_owners().get(pk=row.pk)
        return Response(
            {
                "key_hash": row.token,
                "spend": usd_from_nano(self.spent([row])[row.scope]),
                "previous_spend": usd_from_nano(before),
                "max_budget": usd(row.max_budget_nano),
                "budget_reset_at": reset_at(current_window(row, now)),
            }
        )


class MemberResetSpend(ScopeView):
    """POST /team/{id}/member/{user}/reset_spend; without an amount to nothing."""

    detail_errors = True
    body_optional = True

    @extend_schema(request=OpenApiTypes.OBJECT, responses=OpenApiTypes.OBJECT)
    def post(self, request: Request, team_id: str, user_id: str) -> Response:
        to_nano = 0 if self.body.get("reset_to") is None else money_of(self.body["reset_to"], "reset_to")
        team, now = managed_team(team_id, self.caller, "/team/member/reset_spend"), timezone.now()
        member = find_member(team, {"user_id": user_id})
        if not self.caller.manages_organization(team.organization_id) and self.caller.may_be(member.user_id):
            raise ApiError(403, "user_id: somebody else has to set your own spend back", param="user_id")
        before = reset_spend(member, to_nano, actor=self.caller.actor, now=now)
        member = find_member(team, {"user_id": user_id})
        return Response(
            {
                "team_id": team_id,
                "user_id": user_id,
                "spend": usd_from_nano(self.spent([member])[member.scope]),
                "previous_spend": usd_from_nano(before),
                "max_budget": usd(member.effective("max_budget_nano")),
                "max_budget_in_team": usd(member.effective("max_budget_nano")),
                "budget_reset_at": reset_at(current_window(member, now)),
            }
        )
