"""Where a model is called and how patiently, in the words of whoever made it.

The columns of a deployment hold what counts. What was stated of it is kept beside them, under the name and in the form
that it was stated in: tools compare what they read with what they sent, and also miss what they did not send.
"""

from collections.abc import Collection, Mapping
from typing import Any

from proxy.models import Deployment

#: Names in `litellm_params` by the column that holds what they say; the first that says something counts.
_NAMES = {
    "base_url": ("api_base", "base_url"),
    "timeout_seconds": ("timeout",),
    "max_retries": ("max_retries", "num_retries"),
}
NAMES = tuple(name for names in _NAMES.values() for name in names)


def stated_in(params: Mapping[str, Any]) -> dict[str, Any]:
    """What `litellm_params` state. Of two addresses the one that counts: nobody looks for a password in the other."""
    found = {name: params[name] for name in NAMES if params.get(name) not in (None, "")}
    counts = next((name for name in _NAMES["base_url"] if params.get(name)), None)
    return {name: value for name, value in found.items() if name == counts or name not in _NAMES["base_url"]}


def columns_in(params: Mapping[str, Any]) -> set[str]:
    """Columns that `litellm_params` say something about; an empty `api_base` says that there is none to state."""
    said = {name for name in NAMES if params.get(name) is not None and (params[name] != "" or name == "api_base")}
    return {column for column, names in _NAMES.items() if said.intersection(names)}


def held(deployment: Deployment, *, but: Collection[str]) -> dict[str, Any]:
    """`litellm_params` that say what holds, stated or not, in all columns `but` these."""
    return {names[0]: getattr(deployment, column) for column, names in _NAMES.items() if column not in but}


def kept(deployment: Deployment, *, but: Collection[str]) -> dict[str, Any]:
    """What was stated about all columns `but` these."""
    void = {name for column in but if column in _NAMES for name in _NAMES[column]}
    return {name: value for name, value in deployment.stated.items() if name not in void}


def retold(deployment: Deployment, changed: Collection[str]) -> dict[str, Any]:
    """What is stated once somebody set these columns by hand, to nothing or to what the deployment has there."""
    told = {}
    for column in _NAMES.keys() & changed:
        name = next((name for name in _NAMES[column] if name in deployment.stated), _NAMES[column][0])
        told[name] = getattr(deployment, column)
    return kept(deployment, but=changed) | {name: value for name, value in told.items() if value not in (None, "")}
