"""What a call would cost, or what an answer did, by the prices and bounds of the gateway."""

from decimal import Decimal
from typing import Any

import orjson
from django.conf import settings
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from proxy import shelves
from proxy.providers import REGISTRY
from proxy.runtime.call import read_call
from proxy.runtime.catalog import Target
from proxy.runtime.errors import GatewayError
from proxy.runtime.estimate import estimate
from proxy.runtime.routes import CHAT
from proxy.runtime.usage import service_of, usage_of
from spend import book
from spend.models import Markup
from spend.pricing import PriceCard, Usage, charge_for, usd_from_nano, usd_from_pico, worst_case
from teams.api_base import ApiError, ManagementView, required_text
from teams.api_fields import TextField, WholeNumberField, plain_json


class PricedView(ManagementView):
    """An endpoint about the price of a model."""

    def target(self, model: str) -> Target:
        """A deployment of ours, else the model as the price list knows it, or as answers call it. ApiError 400."""
        now, team = timezone.now(), self.caller.key_team
        if targets := shelves.targets_of(model, team, now):
            return _first_priced(targets)
        slug, _, name = model.rpartition("/")
        for provider in [slug] if slug in REGISTRY else REGISTRY:
            prices = REGISTRY[provider].prices
            found = book.find_item(prices, name if slug == provider else model) if prices else None
            card = book.cards_at(now, [found[0]]).get(found[0]) if found else None
            if found and card:
                marked = Markup.over(settings.MARKUPS).card_for(provider, card)
                return _listed(model, provider, found[1], marked)
        if targets := shelves.targets_behind(model, team, now):
            return _first_priced(targets)
        raise ApiError(400, f"model: neither the models nor the price list here know '{model[:100]}'", param="model")


class SpendCalculate(PricedView):
    """{model, messages}: the most that the prompt costs; {completion_response}: what the answer cost."""

    @extend_schema(request=OpenApiTypes.OBJECT, responses=OpenApiTypes.OBJECT)
    def post(self, request: Request) -> Response:
        answer = self.body.get("completion_response")
        if answer is not None and not isinstance(answer, dict):
            raise ApiError(400, "completion_response: write an object, as a call answers", param="completion_response")
        model = self.body.get("model") or (answer or {}).get("model")
        target = self.target(required_text({"model": model}, "model"))
        if target.is_free:
            return Response({"cost": 0})
        card = _priced(target)
        return Response(self._of_prompt(target, card) if answer is None else _of_answer(answer, card))

    def _of_prompt(self, target: Target, card: PriceCard) -> dict[str, Any]:
        """`cost` is that of the prompt, `max_cost` what the gateway would hold for the call."""
        if not isinstance(self.body.get("messages"), list) or not self.body["messages"]:
            raise ApiError(400, "messages: write a list of messages, or completion_response", param="messages")
        try:
            call = read_call(CHAT, orjson.dumps(_readable(self.body) | {"model": target.model}), "", {})
            bound = estimate(call, target, target.max_output_tokens or 0)
        except GatewayError as error:
            raise ApiError(error.status, error.message, param=error.param) from error
        prompt = Usage(input=bound.input, audio_input=bound.audio_input, image_input=bound.image_input)
        return {
            "cost": usd_from_nano(charge_for(prompt, card).nano),
            "max_cost": usd_from_nano(worst_case(bound, card)),
        }


def _readable(body: dict[str, Any]) -> dict[str, Any]:
    """A body as the gateway would read it. ValidationError naming the field of a number that no call may carry."""
    values = {}
    for name, value in body.items():
        try:
            values[name] = plain_json(value)
        except serializers.ValidationError as error:
            raise serializers.ValidationError({name: error.detail}) from error
    return values


_ASKED = ("model", "input_tokens", "output_tokens", "num_requests_per_day", "num_requests_per_month")
_PARTS = ("", "input_", "output_", "margin_")


class EstimateSerializer(serializers.Serializer[Any]):
    """POST /cost/estimate."""

    model = TextField(max_length=255)
    input_tokens = WholeNumberField()
    output_tokens = WholeNumberField()
    num_requests_per_day = WholeNumberField(required=False, allow_null=True)
    num_requests_per_month = WholeNumberField(required=False, allow_null=True)


class CostEstimate(PricedView):
    """What calls of a size will cost, each as it would be charged. `margin` is all that is paid beside tokens."""

    @extend_schema(request=EstimateSerializer, responses=OpenApiTypes.OBJECT)
    def post(self, request: Request) -> Response:
        form = EstimateSerializer(data=self.body)
        form.is_valid(raise_exception=True)
        asked = {name: form.validated_data.get(name) for name in _ASKED}
        target = self.target(asked["model"])
        used = Usage(input=asked["input_tokens"], output=asked["output_tokens"])
        costs: dict[str, Any] = {**_costs(used, None if target.is_free else _priced(target))}
        for period, name in (("daily", "num_requests_per_day"), ("monthly", "num_requests_per_month")):
            for part in _PARTS:
                each = costs[f"{part}cost_per_request"]
                costs[f"{period}_{part}cost"] = None if asked[name] is None else each * asked[name]
        return Response({**asked, **costs, "provider": target.provider})


def _costs(used: Usage, card: PriceCard | None) -> dict[str, Decimal]:
    """Of one call, by part: tokens as the provider is paid for them, then what is added to that."""
    if card is None:
        free = Decimal(0)
        rates = {"input_cost_per_token": free, "output_cost_per_token": free}
        return {f"{part}cost_per_request": free for part in _PARTS} | rates
    paid = (card.steps[1] if card.steps else card).rates_for(used)
    total = usd_from_nano(charge_for(used, card).nano)
    tokens_in, tokens_out = usd_from_pico(used.input * paid.input), usd_from_pico(used.output * paid.output)
    return {
        "cost_per_request": total,
        "input_cost_per_request": tokens_in,
        "output_cost_per_request": tokens_out,
        "margin_cost_per_request": total - tokens_in - tokens_out,
        "input_cost_per_token": usd_from_pico(paid.input),
        "output_cost_per_token": usd_from_pico(paid.output),
    }


def _first_priced(targets: tuple[Target, ...]) -> Target:
    return next((target for target in targets if target.is_free or target.price), targets[0])


def _priced(target: Target) -> PriceCard:
    if target.price is None:
        raise ApiError(400, f"model '{target.model}' has no price: set one with /model/update", param="model")
    return target.price


def _of_answer(answer: dict[str, Any], card: PriceCard) -> dict[str, Any]:
    usage = usage_of(answer)
    if usage is None:
        raise ApiError(400, "completion_response.usage: write prompt_tokens and completion_tokens", param="usage")
    usage.service = service_of(answer)
    return {"cost": usd_from_nano(charge_for(usage, card).nano)}


def _listed(model: str, provider: str, window: int | None, card: PriceCard) -> Target:
    """A model that is not served here."""
    return Target(
        deployment="", model=model, provider=provider, upstream_model=model, base_url="", secret="",
        max_input_tokens=window, max_output_tokens=None, price=card, is_free=False, timeout_seconds=0, max_retries=0,
    )  # fmt: skip
