"""JSON Merge Patch (RFC 7396). Pure."""

from typing import Any


def merge_patch(target: Any, patch: Any) -> Any:
    """What `patch` makes of `target`: null takes a member away, an object is merged, everything else replaces."""
    if not isinstance(patch, dict):
        return patch
    merged: dict[str, Any] = {**target} if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = merge_patch(merged.get(name), value)
    return merged
