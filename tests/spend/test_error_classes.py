"""Names of exceptions that clients of OpenAI and LiteLLM know."""

import pytest

from proxy.runtime.errors import BUDGET_EXCEEDED
from spend.error_classes import error_class


@pytest.mark.parametrize(
    ("status", "name"),
    [
        (400, "BadRequestError"), (401, "AuthenticationError"), (403, "PermissionDeniedError"), (404, "NotFoundError"),
        (408, "Timeout"), (413, "BadRequestError"), (422, "UnprocessableEntityError"), (429, "RateLimitError"),
        (504, "Timeout"), (418, "APIError"),
    ],
)  # fmt: skip
def test_a_refusal_has_the_name_of_its_status(status: int, name: str) -> None:
    assert error_class(status, "some_error") == name


@pytest.mark.parametrize("status", [400, 422, 429])
def test_a_used_up_budget_has_a_name_of_its_own_by_whatever_status_it_is_told(status: int) -> None:
    assert error_class(status, BUDGET_EXCEEDED) == "BudgetExceededError"
