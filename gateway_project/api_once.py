"""`Idempotency-Key`: a POST that is sent again gets the first answer again, and is carried out once."""

import hashlib
import json
from collections.abc import Callable

from django.db import transaction
from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response

from gateway_project.api_json import dumps, loads
from keys import answers
from teams.api_types import ApiError
from teams.callers import Caller

HEADER = "Idempotency-Key"


def once(request: Request, handler: Callable[[], Response]) -> Response:
    """The handler's response, or the one that it gave to the same request before. Refusals are not kept.

    The name is claimed in the transaction of the change: both are there, or neither is.
    """
    sent = request.headers[HEADER]
    if not 1 <= len(sent) <= 255 or not sent.isascii() or not sent.isprintable():
        raise ApiError(400, f"{HEADER}: write 1 to 255 printable ASCII characters", param=HEADER)
    caller: Caller = request.user  # type: ignore[assignment]  # set by KeyAuthentication
    name = answers.name_of(f"{caller.token or 'master'}|{caller.user_pk or ''}", sent)
    try:
        with transaction.atomic():
            known = answers.claim(name, _asked(request), now=timezone.now())
            if known is not None:
                return Response(
                    loads(known.text.encode()), status=known.status, headers={"Idempotent-Replayed": "true"}
                )
            response = handler()
            answers.keep(name, answers.Answer(response.status_code, dumps(response.data).decode()))
            return response
    except answers.AskedOtherwise as error:
        raise ApiError(422, f"{HEADER}: was used for another request; use a new one", param=HEADER) from error


def _asked(request: Request) -> str:
    """What is asked, however its JSON is laid out."""
    body = json.dumps(request.data, sort_keys=True, default=str)
    return hashlib.sha256(f"{request.get_full_path()}\n{body}".encode()).hexdigest()
