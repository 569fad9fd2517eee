"""Models, deployments and credentials."""

import django.db.models.deletion
import django.db.models.lookups
import django.utils.timezone
import teams.json_checks
import teams.terms
import teams.validators
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    # A database that has all of these, from before they were made one, is up to date.
    replaces = [
        ('proxy', name)
        for name in (
            '0001_initial',
            '0002_access',
            '0003_health_checks',
            '0004_fallback',
            '0005_picture_models',
            '0006_pool',
        )
    ]

    dependencies = [
        ('keys', '0001_tables'),
        ('teams', '0001_tables'),
    ]

    operations = [
        migrations.CreateModel(
            name='Pool',
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
                ('kind', models.CharField(choices=[('provider', 'Provider'), ('access_group', 'Access group')], max_length=16, verbose_name='counts calls to')),
                ('name', models.CharField(help_text="a provider's short name, such as openai, or an access group's", max_length=255)),
                ('is_from_file', models.BooleanField(default=False, editable=False, verbose_name='from the configuration file')),
                ('created_by', models.CharField(blank=True, default='', editable=False, max_length=255)),
                ('updated_by', models.CharField(blank=True, default='', editable=False, max_length=255)),
            ],
            options={
                'ordering': ['kind', 'name'],
                'abstract': False,
                'constraints': [models.CheckConstraint(condition=models.Q(models.Q(('max_budget_nano__isnull', True), models.Q(('max_budget_nano__gte', 0), ('max_budget_nano__lte', 9000000000000000)), _connector='OR'), models.Q(('soft_budget_nano__isnull', True), models.Q(('soft_budget_nano__gte', 0), ('soft_budget_nano__lte', 9000000000000000)), _connector='OR')), name='proxy_pool_budget_in_range', violation_error_message='a budget lies between 0 and 9,000,000 USD'), models.CheckConstraint(condition=models.Q(models.Q(('rpm_limit__isnull', True), ('rpm_limit__gte', 0), _connector='OR'), models.Q(('tpm_limit__isnull', True), ('tpm_limit__gte', 0), _connector='OR'), models.Q(('max_parallel_requests__isnull', True), ('max_parallel_requests__gte', 0), _connector='OR')), name='proxy_pool_limits_not_negative', violation_error_message='a limit is never negative'), models.CheckConstraint(condition=models.Q(django.db.models.lookups.Exact(teams.json_checks.JsonKind('budget_limits'), models.Value('array')), django.db.models.lookups.Exact(teams.json_checks.JsonKind('model_limits'), models.Value('object'))), name='proxy_pool_limits_well_formed', violation_error_message='further budgets are a list, limits per model an object'), models.UniqueConstraint(fields=('kind', 'name'), name='proxy_pool_once', violation_error_message='there is a budget for it already; change that one')],
            },
        ),
        migrations.CreateModel(
            name='Provider',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('slug', models.CharField(max_length=64, unique=True)),
                ('name', models.CharField(max_length=255)),
                ('base_url', models.URLField(blank=True, default='', max_length=500)),
            ],
            options={
                'ordering': ['slug'],
            },
        ),
        migrations.CreateModel(
            name='Credential',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.CharField(max_length=255, unique=True)),
                ('provider', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='credentials', to='proxy.provider')),
                ('host', models.CharField(help_text='host[:port] that the secret may be sent to', max_length=255)),
                ('envelope', models.TextField(editable=False)),
                ('base_url', models.URLField(blank=True, default='', max_length=500)),
                ('params', models.JSONField(blank=True, default=dict, validators=[teams.validators.validate_object], verbose_name='further values')),
                ('info', models.JSONField(blank=True, default=dict, validators=[teams.validators.validate_object])),
                ('is_own', models.BooleanField(default=False, editable=False, verbose_name='made with a model')),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('updated_at', models.DateTimeField(auto_now=True)),
            ],
            options={
                'ordering': ['name'],
            },
        ),
        migrations.CreateModel(
            name='LanguageModel',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.CharField(max_length=255, unique=True, verbose_name='model name')),
                ('created_at', models.DateTimeField(auto_now_add=True)),
            ],
            options={
                'verbose_name': 'model',
                'ordering': ['name'],
            },
        ),
        migrations.CreateModel(
            name='Deployment',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('public_id', models.CharField(default=teams.terms.new_public_id, max_length=128, unique=True, verbose_name='model id')),
                ('model', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='deployments', to='proxy.languagemodel')),
                ('provider', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='deployments', to='proxy.provider')),
                ('upstream_model', models.CharField(max_length=255)),
                ('base_url', models.URLField(max_length=500)),
                ('credential', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='deployments', to='proxy.credential')),
                ('mode', models.CharField(choices=[('chat', 'Chat'), ('completion', 'Legacy completion'), ('embedding', 'Embedding'), ('image_generation', 'Image'), ('moderation', 'Moderation')], default='chat', max_length=16)),
                ('max_input_tokens', models.PositiveBigIntegerField(blank=True, null=True)),
                ('max_output_tokens', models.PositiveBigIntegerField(blank=True, null=True)),
                ('is_free', models.BooleanField(default=False, verbose_name='free of charge')),
                ('timeout_seconds', models.PositiveIntegerField(default=600)),
                ('max_retries', models.PositiveSmallIntegerField(default=2)),
                ('blocked', models.BooleanField(default=False)),
                ('team', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='own_models', to='teams.team')),
                ('access_groups', models.JSONField(blank=True, default=list, validators=[teams.validators.validate_names])),
                ('params', models.JSONField(blank=True, default=dict, validators=[teams.validators.validate_object], verbose_name='further parameters')),
                ('model_info', models.JSONField(blank=True, default=dict, validators=[teams.validators.validate_object])),
                ('source', models.CharField(choices=[('api', 'Admin or API'), ('config', 'Configuration file'), ('demo', 'Demo')], default='api', editable=False, max_length=8)),
                ('created_by', models.CharField(blank=True, default='', editable=False, max_length=255)),
                ('updated_by', models.CharField(blank=True, default='', editable=False, max_length=255)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('updated_at', models.DateTimeField(auto_now=True)),
            ],
            options={
                'ordering': ['model__name', 'pk'],
                'constraints': [models.CheckConstraint(condition=models.Q(('timeout_seconds__gte', 1), ('max_retries__lte', 10)), name='proxy_deployment_limits', violation_error_message='a timeout is at least one second, and at most ten retries are made')],
            },
        ),
        migrations.CreateModel(
            name='AccessGroup',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('public_id', models.CharField(default=teams.terms.new_public_id, max_length=128, unique=True, verbose_name='access group id')),
                ('name', models.CharField(max_length=255, unique=True, verbose_name='access group')),
                ('description', models.TextField(blank=True, default='')),
                ('model_names', models.JSONField(blank=True, default=list, validators=[teams.validators.validate_names])),
                ('created_by', models.CharField(blank=True, default='', editable=False, max_length=255)),
                ('updated_by', models.CharField(blank=True, default='', editable=False, max_length=255)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('updated_at', models.DateTimeField(auto_now=True)),
                ('teams', models.ManyToManyField(blank=True, related_name='access_groups', to='teams.team')),
                ('keys', models.ManyToManyField(blank=True, related_name='access_groups', to='keys.virtualkey')),
            ],
            options={
                'ordering': ['name'],
            },
        ),
        migrations.CreateModel(
            name='Fallback',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('model_name', models.CharField(max_length=255, verbose_name='model')),
                ('kind', models.CharField(choices=[('general', 'Any failure'), ('context_window', 'Too long for the model'), ('content_policy', "Against the provider's content policy")], default='general', max_length=16)),
                ('fallback_models', models.JSONField(default=list, validators=[teams.validators.validate_names])),
                ('created_by', models.CharField(blank=True, default='', editable=False, max_length=255)),
                ('updated_by', models.CharField(blank=True, default='', editable=False, max_length=255)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('updated_at', models.DateTimeField(auto_now=True)),
            ],
            options={
                'ordering': ['model_name', 'kind'],
                'constraints': [models.UniqueConstraint(fields=('model_name', 'kind'), name='proxy_fallback_once')],
            },
        ),
        migrations.CreateModel(
            name='HealthCheck',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('deployment_id', models.CharField(max_length=128, verbose_name='model id')),
                ('model_name', models.CharField(max_length=255)),
                ('problem', models.CharField(blank=True, default='', max_length=255)),
                ('milliseconds', models.PositiveIntegerField(default=0)),
                ('checked_at', models.DateTimeField(db_index=True)),
                ('checked_by', models.CharField(blank=True, default='', max_length=255)),
            ],
            options={
                'ordering': ['-pk'],
                'indexes': [models.Index(fields=['deployment_id', '-id'], name='proxy_health_latest')],
            },
        ),
    ]
