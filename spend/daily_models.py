"""What reports of everybody read, so that they need not look at what each key did."""

from django.db import models


class DailySums(models.Model):
    """Sums of the ledger per UTC day, organization and kind of call, and how many attempts failed."""

    day = models.DateField()
    organization_id = models.BigIntegerField()
    model = models.CharField(max_length=255)
    upstream_model = models.CharField(max_length=255)
    provider = models.CharField(max_length=64)
    call_type = models.CharField(max_length=32)
    amount_nano = models.BigIntegerField(default=0)
    requests = models.BigIntegerField(default=0)
    input_tokens = models.BigIntegerField(default=0)
    output_tokens = models.BigIntegerField(default=0)
    cached_tokens = models.BigIntegerField(default=0)
    cache_write_tokens = models.BigIntegerField(default=0)
    # The database's default, too: during an upgrade, a worker of the version before knows no such column.
    failed_requests = models.BigIntegerField("attempts that failed", default=0, db_default=0)

    class Meta:
        abstract = True


class DailyTotal(DailySums):
    """What all keys of an organization did together, those of its teams and those of none.

    Written with each posting, and few: reports of everybody read these. Always the sum of `Activity` without tags.
    """

    of_team = models.BooleanField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["day", "organization_id", "of_team", "model", "upstream_model", "provider", "call_type"],
                name="spend_dailytotal_once",
            )
        ]

    def __str__(self) -> str:
        return f"{self.day} org:{self.organization_id} {self.model}"


class DailyTeam(DailySums):
    """What all keys of a team did together on a day that is over, as long as it is as it was noted (`NotedDay`)."""

    team_id = models.BigIntegerField()

    class Meta:
        indexes = [models.Index(fields=["team_id", "day"], name="spend_dailyteam_of")]
        constraints = [
            models.UniqueConstraint(
                fields=["day", "team_id", "organization_id", "model", "upstream_model", "provider", "call_type"],
                name="spend_dailyteam_once",
            )
        ]

    def __str__(self) -> str:
        return f"{self.day} team:{self.team_id} {self.model}"


class NotedDay(models.Model):
    """A day that is over, as it was when it had so many deeds: see `spend.noted_days`."""

    day = models.DateField(unique=True)
    deeds = models.BigIntegerField("calls, attempts that failed, and corrections")
    rows = models.BigIntegerField("rows of activity without tags")
    rows_of_teams = models.BigIntegerField("those of teams")

    def __str__(self) -> str:
        return f"{self.day}"


class DailyLeader(models.Model):
    """One of those that spent most on a day that is over: among them reports find whom to name, and then read sums."""

    day = models.DateField()
    column = models.CharField(max_length=16)
    owner_id = models.BigIntegerField()
    amount_nano = models.BigIntegerField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["column", "day", "owner_id"], name="spend_leader_once")]

    def __str__(self) -> str:
        return f"{self.day} {self.column} {self.owner_id}"


class OwnerTotal(models.Model):
    """What a key or person spent on all days that are summed up (`SummedDay`), but for entries that were posted late:
    see `spend.ever`."""

    column = models.CharField(max_length=16)
    owner_id = models.BigIntegerField()
    amount_nano = models.BigIntegerField()
    requests = models.BigIntegerField()
    input_tokens = models.BigIntegerField()
    output_tokens = models.BigIntegerField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["column", "owner_id"], name="spend_ownertotal_once")]

    def __str__(self) -> str:
        return f"{self.column} {self.owner_id}"


class ScopeTotal(models.Model):
    """The same for a scope, out of its rollups: what its budgets for all time count."""

    scope = models.CharField(max_length=64, primary_key=True)
    amount_nano = models.BigIntegerField()

    def __str__(self) -> str:
        return self.scope


class SummedDay(models.Model):
    """A UTC day that is over and part of what each owner and scope spent."""

    day = models.DateField(unique=True)

    def __str__(self) -> str:
        return f"{self.day}"
