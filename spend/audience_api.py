"""How many people made calls with a tag: /tag/{dau,wau,mau} and per person. Who sees which calls is as everywhere."""

from datetime import timedelta
from typing import ClassVar

from django.db.models import Count
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from spend import labels, totals
from spend.global_api import SpendView
from spend.query import Days, Query, last_days, names
from teams.api_base import whole_number
from teams.money import usd_from_nano

_SHOWN = extend_schema(request=None, responses=OpenApiTypes.OBJECT)
_PERIODS = 7
#: What a client that tags its calls with its user agent begins the tag with.
_AGENT = "User-Agent: "


class TagAudience(SpendView):
    """GET /tag/dau, /wau, /mau: people who called with each tag, in each of seven periods up to today."""

    length: ClassVar[int] = 1

    @_SHOWN
    def get(self, request: Request) -> Response:
        today, results = last_days(timezone.now(), 1).last, []
        for back in range(_PERIODS):
            last = today - timedelta(days=back * self.length)
            period = Days(last - timedelta(days=self.length - 1), last)
            rows = _tagged(totals.seen(self.caller, period, tagged=True), request.query_params).filter(user_id__gt=0)
            found = rows.values_list("tag").annotate(people=Count("user_id", distinct=True)).order_by("-people", "tag")
            span = {"date": period.last, "period_start": period.first, "period_end": period.last}
            results += [{"tag": tag, "active_users": people, **span} for tag, people in found]
        return Response({"results": results})


class TagsPerUser(SpendView):
    """GET /tag/user-agent/per-user-analytics: what each person's calls with each tag of a user agent spent and used.

    Of thirty days. `tag_filters` names other tags instead.
    """

    @_SHOWN
    def get(self, request: Request) -> Response:
        query = request.query_params
        page, size = whole_number(query, "page", 1, top=10**6), whole_number(query, "page_size", 50, top=1000)
        rows = totals.seen(self.caller, last_days(timezone.now()), tagged=True)
        rows = _tagged(rows, query) if _wanted(query) else rows.filter(tag__startswith=_AGENT)
        found = totals.top(rows.filter(user_id__gt=0), "user_id", "tag")
        shown = found[(page - 1) * size : page * size]
        users = labels.user_labels({pk for pk, *_ in shown})
        results = [
            {
                "user_id": users[pk].name, "user_email": users[pk].email, "user_agent": tag.removeprefix(_AGENT),
                "successful_requests": calls, "total_tokens": read + written, "spend": usd_from_nano(nano),
            }
            for pk, tag, nano, calls, read, written in shown
        ]  # fmt: skip
        pages = {"page": page, "page_size": size, "total_pages": -(-len(found) // size)}
        return Response({"results": results, "total_count": len(found), **pages})


def _wanted(query: Query) -> list[str]:
    return [*names(query, "tag_filters"), *names(query, "tag_filter")]


def _tagged(rows: totals.Rows, query: Query) -> totals.Rows:
    wanted = _wanted(query)
    return rows.filter(tag__in=wanted) if wanted else rows
