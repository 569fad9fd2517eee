"""What comes in the place of a row's id, from an old link or a form that somebody changed.

Django looks up whatever it is, and on text or a number too large the lookup fails instead of finding nothing.
"""

from django.core.exceptions import BadRequest
from django.forms import Field, ModelChoiceField
from django.http import QueryDict

_MOST = 2**63
_LONGEST = len(str(_MOST))


def is_id(text: object) -> bool:
    digits = str(text)
    return digits.isascii() and digits.isdigit() and len(digits) <= _LONGEST and int(digits) < _MOST


def refuse_odd_choices(fields: dict[str, Field], sent: QueryDict) -> None:
    """Raises BadRequest for a choice that no page offers."""
    for name, field in fields.items():
        if isinstance(field, ModelChoiceField) and not all(is_id(one) for one in sent.getlist(name) if one):
            raise BadRequest(f"{name}: choose from the list")
