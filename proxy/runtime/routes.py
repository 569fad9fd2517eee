"""Every path the gateway answers, with what it costs. A route that is not here does not exist.

Each answers with and without `/v1`, and the model routes also in the Azure form
`/openai/deployments/{model}/...` and the old one of OpenAI's `/engines/{model}/...`.
"""

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Route:
    """`upstream` is appended to a deployment's base URL. `prompt` names the fields that are input.

    `caps` names the fields that cap the output; the first field of a prompt that `batches` may be a list of prompts.
    """

    call_type: str
    method: str
    upstream: str
    prompt: tuple[str, ...] = ()
    caps: tuple[str, ...] = ()
    batches: bool = False
    may_lack_prompt: bool = False
    """Whether a call without any input means something."""
    has_output: bool = True
    """Whether it makes tokens that a cap holds back."""
    streams: bool = True
    usual_model: str = ""
    """What a call goes to that names no model; such a call is refused where this is empty."""


CHAT = Route("chat", "POST", "/chat/completions", ("messages",), ("max_tokens", "max_completion_tokens"))
COMPLETION = Route(
    "completion", "POST", "/completions", ("prompt", "suffix"), ("max_tokens",), True, may_lack_prompt=True
)
EMBEDDING = Route("embedding", "POST", "/embeddings", ("input",), batches=True, has_output=False, streams=False)
IMAGE = Route("image", "POST", "/images/generations", ("prompt",), has_output=False, streams=False)
MODERATION = Route(
    "moderation", "POST", "/moderations", ("input",), batches=True, has_output=False, streams=False,
    usual_model="omni-moderation-latest",
)  # fmt: skip
MODELS = Route("models", "GET", "/models")
MODEL = Route("model", "GET", "/models/{id}")

_POSTS = {route.upstream: route for route in (CHAT, COMPLETION, EMBEDDING, IMAGE, MODERATION)}
_RESTS = "|".join(re.escape(path) for path in _POSTS)
_AZURE = re.compile(rf"^/(?:openai/deployments|engines)/(?P<model>.+?)(?P<rest>{_RESTS})$")


def find(path: str) -> tuple[Route, str] | None:
    """The route of a raw path and the model named in the path, if any; None if the gateway has no such path."""
    azure = _AZURE.match(path)
    if azure:
        return _POSTS[azure["rest"]], azure["model"]
    bare = path.removeprefix("/v1") if path.startswith("/v1/") else path
    bare = bare.removeprefix("/openai") if bare.startswith("/openai/") else bare
    bare = bare.rstrip("/")
    if bare in _POSTS:
        return _POSTS[bare], ""
    if bare == MODELS.upstream:
        return MODELS, ""
    if bare.startswith("/models/"):
        return MODEL, bare.removeprefix("/models/")
    return None
