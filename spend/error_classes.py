"""What clients of OpenAI and LiteLLM call a refusal: the exception that their SDK raises for it. Pure."""

_BUDGET_EXCEEDED = "budget_exceeded"
_CLASSES = {
    400: "BadRequestError",
    401: "AuthenticationError",
    403: "PermissionDeniedError",
    404: "NotFoundError",
    408: "Timeout",
    409: "ConflictError",
    413: "BadRequestError",
    422: "UnprocessableEntityError",
    429: "RateLimitError",
    500: "InternalServerError",
    502: "BadGatewayError",
    503: "ServiceUnavailableError",
    504: "Timeout",
}


def error_class(status: int, kind: str) -> str:
    """By the status and by our own `type`: which status says that a budget is used up is a setting."""
    if kind == _BUDGET_EXCEEDED:
        return "BudgetExceededError"
    return _CLASSES.get(status, "APIError")
