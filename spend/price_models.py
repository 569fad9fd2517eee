"""Prices: the book, what is taken off and added, and how often the list is read again."""

from decimal import Decimal

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q

from spend import markups
from spend.markups import Margin, Markups
from spend.rate_fields import validate_extras, validate_services, validate_tiers

#: Source of the prices that come with the package genai-prices.
PACKAGED = "genai-prices"
#: The longest time between two reloads of the price list.
MOST_HOURS = 8760


def _share(name: str, top: int | Decimal) -> Q:
    """Nothing, or a number from 0 to `top`."""
    return Q(**{f"{name}__isnull": True}) | Q(**{f"{name}__gte": 0, f"{name}__lte": top})


class Price(models.Model):
    """One effective-dated price in USD per token. The newest row at or before an instant is in force.

    `item` names what is priced: `openai/gpt-4o-mini`, or `deployment:<id>` for an override. `extras` holds the
    rates of rarer classes and fees, `tiers` and `services` what a long input or a service tier changes.
    Twelve decimals and fifteen digits survive SQLite's and PostgreSQL's numeric columns alike, exactly.
    """

    item = models.CharField(max_length=255)
    valid_from = models.DateTimeField()
    input = models.DecimalField(max_digits=15, decimal_places=12)
    output = models.DecimalField(max_digits=15, decimal_places=12)
    cached = models.DecimalField("cached input", max_digits=15, decimal_places=12, null=True, blank=True)
    cache_write = models.DecimalField(max_digits=15, decimal_places=12, null=True, blank=True)
    extras = models.JSONField("further classes", default=dict, blank=True, validators=[validate_extras])
    tiers = models.JSONField("long inputs", default=list, blank=True, validators=[validate_tiers])
    services = models.JSONField("service tiers", default=dict, blank=True, validators=[validate_services])
    source = models.CharField(max_length=32, default="manual")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["item", "-valid_from"]
        constraints = [
            models.UniqueConstraint(fields=["item", "valid_from"], name="spend_price_once"),
            models.CheckConstraint(
                condition=Q(input__gte=0)
                & Q(output__gte=0)
                & (Q(cached__isnull=True) | Q(cached__gte=0))
                & (Q(cache_write__isnull=True) | Q(cache_write__gte=0)),
                name="spend_price_not_negative",
                violation_error_message="a price is never negative",
            ),
        ]

    def __str__(self) -> str:
        return self.item

    def clean(self) -> None:
        self.extras, self.tiers, self.services = self.extras or {}, self.tiers or [], self.services or {}


class Markup(models.Model):
    """What a provider's prices are discounted by, and what is added to them. Empty: as the configuration file says."""

    provider = models.CharField(max_length=64, unique=True)
    discount = models.DecimalField(max_digits=7, decimal_places=markups.SHARE_PLACES, null=True, blank=True)
    margin = models.DecimalField(max_digits=8, decimal_places=markups.SHARE_PLACES, null=True, blank=True)
    per_call = models.DecimalField(
        "margin per call (USD)", max_digits=15, decimal_places=markups.USD_PLACES, default=Decimal(0)
    )

    class Meta:
        ordering = ["provider"]
        constraints = [
            models.CheckConstraint(condition=_share("discount", 1), name="spend_markup_discount"),
            models.CheckConstraint(condition=_share("margin", markups.MOST_MARGIN), name="spend_markup_margin"),
            models.CheckConstraint(
                condition=Q(per_call__gte=0, per_call__lte=markups.MOST_PER_CALL), name="spend_markup_per_call"
            ),
        ]

    def __str__(self) -> str:
        return self.provider

    @classmethod
    def over(cls, file: Markups) -> Markups:
        """All markups: those of the file, and over them those that are stored."""
        rows = list(cls.objects.all())
        discounts = {row.provider: row.discount for row in rows if row.discount is not None}
        margins = {row.provider: Margin(row.margin, row.per_call) for row in rows if row.margin is not None}
        return file.beneath(Markups(discounts, margins))


class PriceReload(models.Model):
    """That the price book is brought up to date every few hours. At most one row."""

    one = models.BooleanField(default=True, unique=True, editable=False)
    hours = models.PositiveIntegerField(validators=[MinValueValidator(1), MaxValueValidator(MOST_HOURS)])
    next_at = models.DateTimeField()
    last_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(one=True), name="spend_price_reload_once"),
            models.CheckConstraint(condition=Q(hours__gte=1, hours__lte=MOST_HOURS), name="spend_price_reload_hours"),
        ]

    def __str__(self) -> str:
        return f"every {self.hours} hours"
