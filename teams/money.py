"""Amounts as people read and type them. Pure: no Django, no I/O. Amounts are integer nano-USD."""

import re
from contextlib import suppress
from decimal import ROUND_DOWN, ROUND_HALF_EVEN, Context, Decimal, Inexact, InvalidOperation

NANO = Decimal(10) ** 9
_NANO_USD = Decimal(10) ** -9
#: Traps instead of rounding: an amount that does not fit is an error, never a neighbouring amount.
_EXACT = Context(prec=38, traps=[Inexact, InvalidOperation])
_ROOMY = Context(prec=38)
#: Digits that every decimal keeps through a double and back, and digits of doubles that bring noise along.
_DOUBLE = Context(prec=15)
_NOISY_DIGITS = (16, 17)
_PLAIN = re.compile(r"^[0-9]{0,15}(\.[0-9]{0,30})?$")
_CENT = Decimal("0.01")
_SMALL = Decimal("0.0001")


class BadAmount(ValueError):
    """The text is not an amount; the message says what is accepted."""


def nano_from_usd(usd: Decimal) -> int:
    """Exact conversion of a USD amount; finer than a nano-USD is refused with ValueError."""
    try:
        return int(usd.quantize(_NANO_USD, context=_EXACT).scaleb(9, context=_EXACT))
    except (Inexact, InvalidOperation, ValueError, OverflowError) as error:
        raise ValueError("an amount in USD has at most nine decimals") from error


def readings(usd: Decimal) -> tuple[Decimal, ...]:
    """What a USD amount may mean, in order: itself, and for who counted in doubles the one without their noise.

    0.30000000000000004 may be 0.3, and 3.2999999999999997e-06 may be 0.0000033.
    """
    return (usd, _DOUBLE.plus(usd)) if len(usd.as_tuple().digits) in _NOISY_DIGITS else (usd,)


def limit_from_usd(usd: Decimal) -> int:
    """The most whole nano-USD that a positive USD amount covers: a limit is never more than was written.

    What only the noise of doubles made finer than a nano-USD is what it was before: 0.7999999999999999 is 0.8.
    """
    for amount in readings(usd):
        with suppress(ValueError):
            return nano_from_usd(amount)
    return int(usd.quantize(_NANO_USD, rounding=ROUND_DOWN, context=_ROOMY).scaleb(9, context=_EXACT))


def usd_from_nano(nano: int) -> Decimal:
    return Decimal(nano) / NANO


def parse_decimal(text: str) -> Decimal:
    """A typed, never negative number such as `12.50`, `$12.50` or `1,200`. Raises BadAmount."""
    plain = text.strip().removeprefix("$").strip()
    if re.fullmatch(r"[0-9]{1,3}(,[0-9]{3})+(\.[0-9]*)?", plain):
        plain = plain.replace(",", "")
    if plain.startswith("-"):
        raise BadAmount("an amount is never negative")
    if not _PLAIN.match(plain) or not any(sign.isdigit() for sign in plain):
        raise BadAmount("write a plain number, e.g. 12.50")
    return Decimal(plain)


def plain(number: Decimal, *, places: int = 2) -> str:
    """A number in full: never an exponent, thousands grouped, at least `places` decimals."""
    whole, _, decimals = f"{number:f}".partition(".")
    sign, digits = ("-", whole[1:]) if whole.startswith("-") else ("", whole)
    decimals = decimals.rstrip("0").ljust(places, "0")
    return f"{sign}{int(digits):,}" + (f".{decimals}" if decimals else "")


def format_usd(nano: int) -> str:
    """An exact amount: `$1,234.50`, `-$0.000000001`."""
    return _signed(usd_from_nano(nano))


def short_usd(nano: int) -> str:
    """An amount at a glance, rounded: cents, and four decimals below a dollar."""
    usd = usd_from_nano(nano)
    if usd and abs(usd) < _SMALL:
        return "<$0.0001" if usd > 0 else ">-$0.0001"
    step = _CENT if abs(usd) >= 1 or not usd else _SMALL
    return _signed(usd.quantize(step, ROUND_HALF_EVEN))


def _signed(usd: Decimal) -> str:
    return f"-${plain(-usd)}" if usd < 0 else f"${plain(usd)}"
