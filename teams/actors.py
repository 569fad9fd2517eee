"""Who makes a change. Every service takes one; the audit trail records its label."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Actor:
    """`label` names the actor for people; `user_id` is the primary key of the person, if it is one."""

    label: str
    user_id: int | None = None
    token: str = ""
    """SHA-256 of the key that the change was made with, if it was made with one."""
    public_id: str = ""
    """Id under which clients know the person, if it is one."""
    behind: frozenset[int] = frozenset()
    """Primary keys of people who may know the key that the change was made with, and so learn what it is answered."""

    @property
    def hearers(self) -> frozenset[int]:
        """Everybody who may learn what this change is answered: primary keys of people."""
        return self.behind | ({self.user_id} if self.user_id else set())

    @property
    def signature(self) -> str:
        """Who made something, as `created_by` of answers names them."""
        return self.public_id or self.label


#: The holder of the master key, under the id that LiteLLM's clients know it by.
MASTER = Actor("default_user_id")
#: Scheduled tasks, start-up and the command line.
SYSTEM = Actor("system")
#: Signs in with the master key; also the first platform admin.
ADMIN_LOGIN = "admin"
