"""Where only known customers may call, an unknown one is refused before anything is held."""

from datetime import UTC, datetime
from typing import Any

import pytest

from proxy.runtime.errors import GatewayError
from proxy.runtime.grants import Grants


class Nobody:
    """Books that know no customer."""

    available = True

    async def ask(self, kind: str, item: object) -> Any:
        return None


async def test_an_unknown_customer_is_refused_and_looked_up_again_next_time() -> None:
    grants = Grants(Nobody(), lambda: datetime.now(UTC))  # type: ignore[arg-type]
    for _ in range(2):
        with pytest.raises(GatewayError) as refused:
            await grants.customer(1, "stranger")
        assert (refused.value.status, "/customer/new" in str(refused.value)) == (400, True)
    assert not grants.knows(1, "stranger", ())
