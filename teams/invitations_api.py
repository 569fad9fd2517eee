"""Management endpoints of invitations, and what the invited call without a key."""

from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from teams import invitations
from teams.api_base import ApiError, ManagementView, required_text
from teams.finding import managed_person, refuse_stronger
from teams.models import Invitation
from teams.rows import Row

_SIGN_IN = "/admin/"


class InvitationNew(ManagementView):
    """The id in the answer is the secret of the link; it is shown this once and stored nowhere."""

    @extend_schema(request=OpenApiTypes.OBJECT, responses=OpenApiTypes.OBJECT)
    def post(self, request: Request) -> Response:
        user = managed_person(self.caller, required_text(self.body, "user_id"))
        # Whoever has the link sets the password.
        refuse_stronger(user, self.caller)
        invitation, secret = invitations.invite(user, actor=self.caller.actor)
        return Response(_row(invitation, secret))


class InvitationInfo(ManagementView):
    @extend_schema(request=None, responses=OpenApiTypes.OBJECT)
    def get(self, request: Request) -> Response:
        secret = required_text(request.query_params, "invitation_id")
        return Response(_row(self.named(secret), secret))

    def named(self, secret: str) -> Invitation:
        invitation = invitations.find_invitation(secret)
        if invitation is None:
            raise ApiError(400, "invitation_id: Invitation id does not exist in the database.", param="invitation_id")
        managed_person(self.caller, invitation.user.public_id)
        return invitation


class InvitationUpdate(InvitationInfo):
    http_method_names = ["post", "options"]

    @extend_schema(request=OpenApiTypes.OBJECT, responses=OpenApiTypes.OBJECT)
    def post(self, request: Request) -> Response:
        secret, accepted = required_text(self.body, "invitation_id"), self.body.get("is_accepted")
        if not isinstance(accepted, bool):
            raise ApiError(400, "is_accepted: write true or false", param="is_accepted")
        invitation = self.named(secret)
        refuse_stronger(invitation.user, self.caller)
        return Response(_row(invitations.mark(invitation, accepted, actor=self.caller.actor), secret))


class InvitationDelete(InvitationInfo):
    http_method_names = ["post", "options"]

    @extend_schema(request=OpenApiTypes.OBJECT, responses=OpenApiTypes.OBJECT)
    def post(self, request: Request) -> Response:
        secret = required_text(self.body, "invitation_id")
        invitation = self.named(secret)
        row = _row(invitation, secret)
        invitations.withdraw(invitation, actor=self.caller.actor)
        return Response(row)


class OnboardingToken(ManagementView):
    """Who opens an invitation's link: whose it is, and the token that /onboarding/claim_token takes."""

    @extend_schema(request=None, responses=OpenApiTypes.OBJECT)
    def get(self, request: Request) -> Response:
        secret = required_text(request.query_params, "invite_link")
        invitation = invitations.usable_invitation(secret)
        if invitation is None:
            raise ApiError(401, "invite_link: is not valid, was used already, or is older than a week")
        user = invitation.user
        return Response(
            {"login_url": _SIGN_IN, "token": secret, "user_id": user.public_id, "user_email": user.email or None}
        )


class OnboardingClaim(ManagementView):
    """The invited person sets a password, once."""

    @extend_schema(request=OpenApiTypes.OBJECT, responses=OpenApiTypes.OBJECT)
    def post(self, request: Request) -> Response:
        secret, user_id = required_text(self.body, "invitation_link"), required_text(self.body, "user_id")
        if invitations.usable_invitation(secret) is None:
            raise ApiError(401, "invitation_link: is not valid, was used already, or is older than a week")
        user = invitations.accept(secret, user_id, required_text(self.body, "password"))
        return Response(
            {"login_url": _SIGN_IN, "token": None, "user_id": user.public_id, "user_email": user.email or None}
        )


def _row(invitation: Invitation, secret: str) -> Row:
    return {
        "id": secret,
        "user_id": invitation.user.public_id,
        "is_accepted": invitation.accepted_at is not None,
        "is_expired": invitation.expires_at <= timezone.now(),
        "accepted_at": invitation.accepted_at,
        "expires_at": invitation.expires_at,
        "created_at": invitation.created_at,
        "created_by": invitation.created_by,
        "updated_at": invitation.updated_at,
        "updated_by": invitation.updated_by,
    }
