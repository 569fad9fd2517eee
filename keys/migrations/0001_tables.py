"""Virtual keys, who may have them, and answers that were given already."""

import django.db.models.deletion
import django.db.models.lookups
import django.utils.timezone
import teams.json_checks
import teams.validators
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    # A database that has all of these, from before they were made one, is up to date.
    replaces = [
        ('keys', name)
        for name in (
            '0001_initial',
            '0002_initial',
            '0003_limits',
            '0004_output_cap_policy',
            '0005_rotation',
            '0006_given_answer',
            '0007_waiting_secret',
            '0008_projects',
            '0009_list_orders',
            '0010_expiring_keys',
        )
    ]

    dependencies = [
        ('teams', '0001_tables'),
    ]

    operations = [
        migrations.CreateModel(
            name='VirtualKey',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('max_budget_nano', models.BigIntegerField(blank=True, null=True, verbose_name='maximum budget (nano-USD)')),
                ('soft_budget_nano', models.BigIntegerField(blank=True, null=True, verbose_name='soft budget (nano-USD)')),
                ('budget_duration', models.CharField(blank=True, default='', max_length=16, validators=[teams.validators.validate_duration])),
                ('budget_started_at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ('budget_limits', models.JSONField(blank=True, default=list, validators=[teams.validators.validate_windows], verbose_name='further budgets')),
                ('model_limits', models.JSONField(blank=True, default=dict, validators=[teams.validators.validate_model_limits], verbose_name='limits per model')),
                ('rpm_limit', models.BigIntegerField(blank=True, null=True, verbose_name='requests per minute')),
                ('tpm_limit', models.BigIntegerField(blank=True, null=True, verbose_name='tokens per minute')),
                ('max_parallel_requests', models.BigIntegerField(blank=True, null=True, verbose_name='parallel requests')),
                ('version', models.BigIntegerField(default=1, editable=False)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('updated_at', models.DateTimeField(auto_now=True)),
                ('raise_nano', models.BigIntegerField(blank=True, default=0, verbose_name='temporary raise (nano-USD)')),
                ('raise_until', models.DateTimeField(blank=True, null=True, verbose_name='raised until')),
                ('shared_budget', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='teams.sharedbudget')),
                ('allowed_models', models.JSONField(blank=True, default=list, validators=[teams.validators.validate_names], verbose_name='models')),
                ('metadata', models.JSONField(blank=True, default=dict, validators=[teams.validators.validate_object])),
                ('blocked', models.BooleanField(default=False)),
                ('public_id', models.CharField(editable=False, max_length=16, unique=True)),
                ('token', models.CharField(editable=False, max_length=64, unique=True, verbose_name='token (SHA-256)')),
                ('seal', models.CharField(editable=False, max_length=128)),
                ('masked', models.CharField(editable=False, max_length=16, verbose_name='key')),
                ('alias', models.CharField(blank=True, max_length=255, null=True, verbose_name='key alias')),
                ('organization', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='keys', to='teams.organization')),
                ('team', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='keys', to='teams.team')),
                ('project', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='keys', to='teams.project')),
                ('user', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='keys', to=settings.AUTH_USER_MODEL)),
                ('service_account', models.CharField(blank=True, default='', max_length=255)),
                ('aliases', models.JSONField(blank=True, default=dict, validators=[teams.validators.validate_object], verbose_name='model aliases')),
                ('tags', models.JSONField(blank=True, default=list, validators=[teams.validators.validate_names])),
                ('allowed_routes', models.JSONField(blank=True, default=list, validators=[teams.validators.validate_names])),
                ('output_cap_policy', models.CharField(choices=[('clamp', 'Lower it to a fair share of the budget'), ('reject', 'Refuse the call, and name a cap that fits')], default='clamp', max_length=8, verbose_name='output cap if a call has none')),
                ('auto_rotate', models.BooleanField(default=False, verbose_name='rotate by itself')),
                ('rotation_interval', models.CharField(blank=True, default='', max_length=16, verbose_name='rotate every')),
                ('rotate_at', models.DateTimeField(blank=True, editable=False, null=True, verbose_name='next rotation')),
                ('rotated_at', models.DateTimeField(blank=True, editable=False, null=True, verbose_name='last rotation')),
                ('rotation_count', models.PositiveIntegerField(default=0, editable=False)),
                ('extras', models.JSONField(blank=True, default=dict, editable=False, verbose_name='kept for clients')),
                ('expires_at', models.DateTimeField(blank=True, null=True)),
                ('expiry_noted_at', models.DateTimeField(blank=True, editable=False, null=True)),
                ('created_by', models.CharField(blank=True, default='', editable=False, max_length=255)),
                ('updated_by', models.CharField(blank=True, default='', editable=False, max_length=255)),
                ('deleted_at', models.DateTimeField(blank=True, editable=False, null=True)),
                ('deleted_by', models.CharField(blank=True, default='', editable=False, max_length=255)),
            ],
            options={
                'ordering': ['-pk'],
                'abstract': False,
                'indexes': [models.Index(fields=['team', '-id'], name='keys_by_team'), models.Index(fields=['user', '-id'], name='keys_by_user'), models.Index(fields=['expires_at'], name='keys_by_expiry'), models.Index(condition=models.Q(('deleted_at__isnull', True), ('expiry_noted_at__isnull', True)), fields=['expires_at'], name='keys_expiring'), models.Index(condition=models.Q(('deleted_at__isnull', True)), fields=['updated_at', 'id'], name='keys_by_updated_at'), models.Index(condition=models.Q(('deleted_at__isnull', True)), fields=['max_budget_nano', 'id'], name='keys_by_max_budget_nano'), models.Index(condition=models.Q(('deleted_at__isnull', True)), fields=['rpm_limit', 'id'], name='keys_by_rpm_limit'), models.Index(condition=models.Q(('deleted_at__isnull', True)), fields=['tpm_limit', 'id'], name='keys_by_tpm_limit'), models.Index(condition=models.Q(('rotate_at__isnull', False)), fields=['rotate_at'], name='keys_by_rotation')],
                'constraints': [models.CheckConstraint(condition=models.Q(models.Q(('max_budget_nano__isnull', True), models.Q(('max_budget_nano__gte', 0), ('max_budget_nano__lte', 9000000000000000)), _connector='OR'), models.Q(('soft_budget_nano__isnull', True), models.Q(('soft_budget_nano__gte', 0), ('soft_budget_nano__lte', 9000000000000000)), _connector='OR')), name='keys_virtualkey_budget_in_range', violation_error_message='a budget lies between 0 and 9,000,000 USD'), models.CheckConstraint(condition=models.Q(models.Q(('rpm_limit__isnull', True), ('rpm_limit__gte', 0), _connector='OR'), models.Q(('tpm_limit__isnull', True), ('tpm_limit__gte', 0), _connector='OR'), models.Q(('max_parallel_requests__isnull', True), ('max_parallel_requests__gte', 0), _connector='OR')), name='keys_virtualkey_limits_not_negative', violation_error_message='a limit is never negative'), models.CheckConstraint(condition=models.Q(django.db.models.lookups.Exact(teams.json_checks.JsonKind('budget_limits'), models.Value('array')), django.db.models.lookups.Exact(teams.json_checks.JsonKind('model_limits'), models.Value('object'))), name='keys_virtualkey_limits_well_formed', violation_error_message='further budgets are a list, limits per model an object'), models.CheckConstraint(condition=models.Q(('raise_nano', 0), models.Q(('raise_nano__range', (1, 9000000000000000)), ('raise_until__isnull', False)), _connector='OR'), name='keys_virtualkey_raise_ends', violation_error_message='a temporary raise lies between 0 and 9,000,000 USD, and ends one day'), models.UniqueConstraint(condition=models.Q(('deleted_at__isnull', True)), fields=('alias',), name='keys_alias_once', violation_error_message='another key has this alias already'), models.CheckConstraint(condition=models.Q(('user__isnull', True), ('service_account', ''), _connector='OR'), name='keys_one_owner', violation_error_message='a key belongs to a person or to a service account, never to both'), models.CheckConstraint(condition=models.Q(('auto_rotate', False), models.Q(('rotation_interval', ''), _negated=True), _connector='OR'), name='keys_rotation_has_interval', violation_error_message='say in rotation_interval how often the key is rotated')],
            },
        ),
        migrations.CreateModel(
            name='RetiredSecret',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('key', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='retired_secrets', to='keys.virtualkey')),
                ('token', models.CharField(max_length=64, unique=True)),
                ('seal', models.CharField(max_length=128)),
                ('retired_at', models.DateTimeField(default=django.utils.timezone.now)),
                ('valid_until', models.DateTimeField()),
            ],
        ),
        migrations.CreateModel(
            name='WaitingSecret',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('key', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, related_name='waiting_secret', to='keys.virtualkey')),
                ('envelope', models.TextField()),
                ('made_at', models.DateTimeField()),
            ],
        ),
        migrations.CreateModel(
            name='GivenAnswer',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.CharField(max_length=64, unique=True)),
                ('asked', models.CharField(max_length=64, verbose_name='SHA-256 of the request')),
                ('status', models.PositiveSmallIntegerField(default=200)),
                ('envelope', models.TextField(blank=True, default='')),
                ('expires_at', models.DateTimeField(db_index=True)),
            ],
        ),
    ]
