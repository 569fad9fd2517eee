"""What is noted of days that are over. Tables that begin empty: a task fills them, with days closed before as well."""

from django.db import migrations, models


def _sum() -> models.BigIntegerField:
    return models.BigIntegerField(default=0)


class Migration(migrations.Migration):
    dependencies = [("spend", "0006_what_degraded_means")]
    operations = [
        migrations.CreateModel(
            "NotedDay",
            [
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("day", models.DateField(unique=True)),
                ("deeds", models.BigIntegerField("calls, attempts that failed, and corrections")),
                ("rows", models.BigIntegerField("rows of activity without tags")),
                ("rows_of_teams", models.BigIntegerField("those of teams")),
            ],
        ),
        migrations.CreateModel(
            "DailyTeam",
            [
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("day", models.DateField()),
                ("organization_id", models.BigIntegerField()),
                ("model", models.CharField(max_length=255)),
                ("upstream_model", models.CharField(max_length=255)),
                ("provider", models.CharField(max_length=64)),
                ("call_type", models.CharField(max_length=32)),
                ("amount_nano", _sum()),
                ("requests", _sum()),
                ("input_tokens", _sum()),
                ("output_tokens", _sum()),
                ("cached_tokens", _sum()),
                ("cache_write_tokens", _sum()),
                ("failed_requests", models.BigIntegerField("attempts that failed", default=0, db_default=0)),
                ("team_id", models.BigIntegerField()),
            ],
            options={
                "indexes": [models.Index(fields=["team_id", "day"], name="spend_dailyteam_of")],
                "constraints": [
                    models.UniqueConstraint(
                        fields=["day", "team_id", "organization_id", "model", "upstream_model", "provider", "call_type"],
                        name="spend_dailyteam_once",
                    )
                ],
            },
        ),
    ]
