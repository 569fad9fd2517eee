"""Blocking and unblocking from the admin: of one object, which asks first, or of those selected in a list."""

from typing import Any, ClassVar

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse

from teams.actors import Actor
from teams.admin_base import ServiceAdmin, action, actor_of, display
from teams.admin_ids import is_id

STATUS_COLORS = {
    "active": "success", "blocked": "danger", "expired": "warning", "waits": "warning", "deleted": "default",
}  # fmt: skip


class BlockableAdmin(ServiceAdmin):
    """What can be blocked has a status, and two actions that change nothing else."""

    actions: ClassVar[tuple[str, ...]] = ("block_selected", "unblock_selected")
    actions_detail: ClassVar[tuple[str, ...]] = ("block", "unblock")
    told_to_block = "Every call below it is refused from the next one on, on every worker, until it is unblocked."
    told_to_unblock = "Calls are admitted again from the next one on, within the limits that apply."

    def set_blocked(self, obj: Any, blocked: bool, actor: Actor) -> Any:
        raise NotImplementedError

    @display(description="Status", label=STATUS_COLORS, ordering="blocked")
    def status(self, obj: Any) -> str:
        return "blocked" if obj.blocked else "active"

    @admin.action(description="Block", permissions=["change"])
    def block_selected(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        actor = actor_of(request)
        self.each(request, queryset.filter(blocked=False), lambda row: self.set_blocked(row, True, actor), "blocked")

    @admin.action(description="Unblock", permissions=["change"])
    def unblock_selected(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        actor = actor_of(request)
        self.each(request, queryset.filter(blocked=True), lambda row: self.set_blocked(row, False, actor), "unblocked")

    @action(description="Block", permissions=["change"], url_path="block", icon="block")
    def block(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return self._ask_to_block(request, object_id, True)

    @action(description="Unblock", permissions=["change"], url_path="unblock", icon="lock_open")
    def unblock(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return self._ask_to_block(request, object_id, False)

    def _ask_to_block(self, request: HttpRequest, object_id: str, blocked: bool) -> HttpResponse:
        obj, verb = self.row(request, object_id), "block" if blocked else "unblock"
        if request.method == "POST":
            self.set_blocked(obj, blocked, actor_of(request))
            return self.done(request, obj, f"“{obj}” is {verb}ed.")
        text = self.told_to_block if blocked else self.told_to_unblock
        title = f"{verb.capitalize()} {self.opts.verbose_name} “{obj}”?"
        return self.confirm(request, obj, title=title, text=text, button=verb.capitalize(), danger=blocked)

    def get_actions_detail(self, request: HttpRequest, object_id: Any) -> list[Any]:
        """Only the one of block and unblock that changes something."""
        if not is_id(object_id):
            return []
        blocked = self.model._default_manager.filter(pk=object_id, blocked=True).exists()
        hidden = f"_{'block' if blocked else 'unblock'}"
        return [one for one in super().get_actions_detail(request, object_id) if not one.action_name.endswith(hidden)]
