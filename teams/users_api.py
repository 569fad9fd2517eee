"""Management endpoints of people alone; those that show or make keys are in `keys.owners_api`."""

from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from teams.api_base import ApiError, ScopeView, required_text
from teams.rows import team_ids, user_row
from teams.scope_serializers import UserUpdateSerializer, patched
from teams.serializers import find_person


class UserUpdate(ScopeView):
    """A merge patch of the person that `user_id` names, or `user_email` where there is no id."""

    @extend_schema(request=UserUpdateSerializer, responses=OpenApiTypes.OBJECT)
    def post(self, request: Request) -> Response:
        if self.body.get("password") is not None:
            raise ApiError(422, "password is not accepted here; set it in the admin", param="password")
        field = "user_id" if self.body.get("user_id") is not None else "user_email"
        named = required_text(self.body, field)
        user = find_person(**{"user_id": named} if field == "user_id" else {"user_id": None, "email": named})
        if user is None:
            raise ApiError(404, f"User {named} not found", param=field)
        user = patched(user, UserUpdateSerializer, self.body, self.caller.actor)
        row = user_row(user, team_ids(user), self.spent([user]), timezone.now())
        return Response({"user_id": user.public_id, "data": row})
