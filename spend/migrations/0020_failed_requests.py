from django.db import migrations, models

_LABELS = (
    "key_id, day, model, upstream_model, provider, call_type, tag, customer_id, user_id, team_id, organization_id"
)
_TOTAL_LABELS = "day, organization_id, of_team, model, upstream_model, provider, call_type"
_NO_SUMS = "amount_nano, requests, input_tokens, output_tokens, cached_tokens, cache_write_tokens"


def fill(apps, schema_editor):
    """From the holds that were called off: each once without a tag, and once for each of its tags; then the totals."""
    postgresql = schema_editor.connection.vendor == "postgresql"
    day = "(h.admitted_at AT TIME ZONE 'UTC')::date" if postgresql else "date(h.admitted_at)"
    tags = "jsonb_array_elements_text(h.tags) AS t(value)" if postgresql else "json_each(h.tags) AS t"
    for tag, source in (("''", "spend_hold h"), ("t.value", f"spend_hold h, {tags}")):
        schema_editor.execute(
            f"INSERT INTO spend_activity ({_LABELS}, {_NO_SUMS}, failed_requests) SELECT h.key_id, {day}, h.model, "
            f"h.upstream_model, h.provider, h.call_type, {tag}, coalesce(h.customer_id, 0), coalesce(h.user_id, 0), "
            f"coalesce(h.team_id, 0), h.organization_id, 0, 0, 0, 0, 0, 0, count(*) FROM {source} "
            "WHERE h.state = 'void' AND h.key_id IS NOT NULL GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11 "
            f"ON CONFLICT ({_LABELS}) DO UPDATE SET failed_requests = excluded.failed_requests",
            params=None,
        )
    schema_editor.execute(
        f"INSERT INTO spend_dailytotal ({_TOTAL_LABELS}, {_NO_SUMS}, failed_requests) "
        "SELECT day, organization_id, team_id > 0, model, upstream_model, provider, call_type, 0, 0, 0, 0, 0, 0, "
        "sum(failed_requests) FROM spend_activity WHERE tag = '' AND failed_requests > 0 GROUP BY 1, 2, 3, 4, 5, 6, 7 "
        f"ON CONFLICT ({_TOTAL_LABELS}) DO UPDATE SET failed_requests = excluded.failed_requests",
        params=None,
    )


class Migration(migrations.Migration):

    dependencies = [
        ('spend', '0019_daily_totals'),
    ]

    operations = [
        migrations.AddField(
            model_name='activity',
            name='failed_requests',
            field=models.BigIntegerField(db_default=0, default=0, verbose_name='attempts that failed'),
        ),
        migrations.AddField(
            model_name='dailytotal',
            name='failed_requests',
            field=models.BigIntegerField(db_default=0, default=0, verbose_name='attempts that failed'),
        ),
        migrations.RunPython(fill, migrations.RunPython.noop),
    ]
