"""Holds, the ledger and its sums; ledger, prices and resets are append-only by rule of the database."""

import django.core.validators
import django.db.models.deletion
import django.utils.timezone
import spend.late
import spend.rate_fields
from decimal import Decimal
from django.conf import settings
from django.db import migrations, models

from teams.append_only import append_only


class Migration(migrations.Migration):

    initial = True

    # A database that has all of these, from before they were made one, is up to date.
    replaces = [
        ('spend', name)
        for name in (
            '0001_initial',
            '0002_initial',
            '0003_append_only',
            '0004_rollup_quarter',
            '0005_hold_token_and_tags',
            '0006_price_classes',
            '0007_crossing',
            '0008_degraded',
            '0009_activity',
            '0010_spend_reset',
            '0011_hold_platform_epoch',
            '0012_fewer_indexes',
            '0013_markup',
            '0014_price_reload',
            '0015_entries_of_customers',
            '0016_rare_entries',
            '0017_corrections_by_time',
            '0018_refusals',
            '0019_daily_totals',
            '0020_failed_requests',
            '0021_days_summed_up',
        )
    ]

    dependencies = [
        ('keys', '0001_tables'),
        ('proxy', '0001_tables'),
        ('teams', '0001_tables'),
    ]

    operations = [
        migrations.CreateModel(
            name='DailyTotal',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('day', models.DateField()),
                ('organization_id', models.BigIntegerField()),
                ('model', models.CharField(max_length=255)),
                ('upstream_model', models.CharField(max_length=255)),
                ('provider', models.CharField(max_length=64)),
                ('call_type', models.CharField(max_length=32)),
                ('amount_nano', models.BigIntegerField(default=0)),
                ('requests', models.BigIntegerField(default=0)),
                ('input_tokens', models.BigIntegerField(default=0)),
                ('output_tokens', models.BigIntegerField(default=0)),
                ('cached_tokens', models.BigIntegerField(default=0)),
                ('cache_write_tokens', models.BigIntegerField(default=0)),
                ('failed_requests', models.BigIntegerField(db_default=0, default=0, verbose_name='attempts that failed')),
                ('of_team', models.BooleanField()),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('day', 'organization_id', 'of_team', 'model', 'upstream_model', 'provider', 'call_type'), name='spend_dailytotal_once')],
            },
        ),
        migrations.CreateModel(
            name='DailyLeader',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('day', models.DateField()),
                ('column', models.CharField(max_length=16)),
                ('owner_id', models.BigIntegerField()),
                ('amount_nano', models.BigIntegerField()),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('column', 'day', 'owner_id'), name='spend_leader_once')],
            },
        ),
        migrations.CreateModel(
            name='OwnerTotal',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('column', models.CharField(max_length=16)),
                ('owner_id', models.BigIntegerField()),
                ('amount_nano', models.BigIntegerField()),
                ('requests', models.BigIntegerField()),
                ('input_tokens', models.BigIntegerField()),
                ('output_tokens', models.BigIntegerField()),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('column', 'owner_id'), name='spend_ownertotal_once')],
            },
        ),
        migrations.CreateModel(
            name='ScopeTotal',
            fields=[
                ('scope', models.CharField(max_length=64, primary_key=True, serialize=False)),
                ('amount_nano', models.BigIntegerField()),
            ],
        ),
        migrations.CreateModel(
            name='SummedDay',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('day', models.DateField(unique=True)),
            ],
        ),
        migrations.CreateModel(
            name='Price',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('item', models.CharField(max_length=255)),
                ('valid_from', models.DateTimeField()),
                ('input', models.DecimalField(decimal_places=12, max_digits=15)),
                ('output', models.DecimalField(decimal_places=12, max_digits=15)),
                ('cached', models.DecimalField(blank=True, decimal_places=12, max_digits=15, null=True, verbose_name='cached input')),
                ('cache_write', models.DecimalField(blank=True, decimal_places=12, max_digits=15, null=True)),
                ('extras', models.JSONField(blank=True, default=dict, validators=[spend.rate_fields.validate_extras], verbose_name='further classes')),
                ('tiers', models.JSONField(blank=True, default=list, validators=[spend.rate_fields.validate_tiers], verbose_name='long inputs')),
                ('services', models.JSONField(blank=True, default=dict, validators=[spend.rate_fields.validate_services], verbose_name='service tiers')),
                ('source', models.CharField(default='manual', max_length=32)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
            ],
            options={
                'ordering': ['item', '-valid_from'],
                'constraints': [models.UniqueConstraint(fields=('item', 'valid_from'), name='spend_price_once'), models.CheckConstraint(condition=models.Q(('input__gte', 0), ('output__gte', 0), models.Q(('cached__isnull', True), ('cached__gte', 0), _connector='OR'), models.Q(('cache_write__isnull', True), ('cache_write__gte', 0), _connector='OR')), name='spend_price_not_negative', violation_error_message='a price is never negative')],
            },
        ),
        migrations.CreateModel(
            name='Markup',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('provider', models.CharField(max_length=64, unique=True)),
                ('discount', models.DecimalField(blank=True, decimal_places=6, max_digits=7, null=True)),
                ('margin', models.DecimalField(blank=True, decimal_places=6, max_digits=8, null=True)),
                ('per_call', models.DecimalField(decimal_places=12, default=Decimal('0'), max_digits=15, verbose_name='margin per call (USD)')),
            ],
            options={
                'ordering': ['provider'],
                'constraints': [models.CheckConstraint(condition=models.Q(('discount__isnull', True), models.Q(('discount__gte', 0), ('discount__lte', 1)), _connector='OR'), name='spend_markup_discount'), models.CheckConstraint(condition=models.Q(('margin__isnull', True), models.Q(('margin__gte', 0), ('margin__lte', Decimal('10'))), _connector='OR'), name='spend_markup_margin'), models.CheckConstraint(condition=models.Q(('per_call__gte', 0), ('per_call__lte', Decimal('100'))), name='spend_markup_per_call')],
            },
        ),
        migrations.CreateModel(
            name='PriceReload',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('one', models.BooleanField(default=True, editable=False, unique=True)),
                ('hours', models.PositiveIntegerField(validators=[django.core.validators.MinValueValidator(1), django.core.validators.MaxValueValidator(8760)])),
                ('next_at', models.DateTimeField()),
                ('last_at', models.DateTimeField(blank=True, null=True)),
            ],
            options={
                'constraints': [models.CheckConstraint(condition=models.Q(('one', True)), name='spend_price_reload_once'), models.CheckConstraint(condition=models.Q(('hours__gte', 1), ('hours__lte', 8760)), name='spend_price_reload_hours')],
            },
        ),
        migrations.CreateModel(
            name='Hold',
            fields=[
                ('organization', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='teams.organization')),
                ('key', models.ForeignKey(db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='keys.virtualkey')),
                ('team', models.ForeignKey(db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='teams.team')),
                ('member_id', models.BigIntegerField(null=True)),
                ('user', models.ForeignKey(db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('customer', models.ForeignKey(db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='teams.customer')),
                ('request_id', models.CharField(max_length=64)),
                ('call_type', models.CharField(max_length=32)),
                ('model', models.CharField(max_length=255)),
                ('deployment', models.CharField(max_length=128)),
                ('provider', models.CharField(max_length=64)),
                ('upstream_model', models.CharField(max_length=255)),
                ('admitted_at', models.DateTimeField()),
                ('token', models.CharField(blank=True, default='', max_length=64)),
                ('tags', models.JSONField(default=list)),
                ('degraded', models.BooleanField(default=False, verbose_name='admitted without the counter store')),
                ('id', models.CharField(max_length=32, primary_key=True, serialize=False)),
                ('state', models.CharField(choices=[('pending', 'Pending'), ('posted', 'Posted'), ('void', 'Void')], default='pending', max_length=8)),
                ('epoch', models.BigIntegerField()),
                ('platform_epoch', models.BigIntegerField(null=True)),
                ('amount_nano', models.BigIntegerField()),
                ('counters', models.JSONField(default=list)),
                ('scopes', models.JSONField(default=list)),
                ('price', models.ForeignKey(db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='spend.price')),
                ('input_estimate', models.BigIntegerField(default=0)),
                ('output_cap', models.BigIntegerField(default=0)),
                ('attempt', models.PositiveSmallIntegerField(default=1)),
                ('lease_until', models.DateTimeField()),
            ],
            options={
                'indexes': [models.Index(condition=models.Q(('state', 'pending')), fields=['organization'], name='spend_hold_pending'), models.Index(condition=models.Q(('state', 'void')), fields=['admitted_at'], name='spend_hold_void'), models.Index(condition=models.Q(('state', 'void')), fields=['request_id'], name='spend_hold_void_request')],
                'constraints': [models.CheckConstraint(condition=models.Q(('amount_nano__gte', 0)), name='spend_hold_not_negative'), models.CheckConstraint(condition=models.Q(('state__in', ['pending', 'posted', 'void'])), name='spend_hold_state_known'), models.CheckConstraint(condition=models.Q(('state', 'void'), ('key__isnull', False), _connector='OR'), name='spend_hold_has_key')],
            },
        ),
        migrations.CreateModel(
            name='Refusal',
            fields=[
                ('organization', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='teams.organization')),
                ('key', models.ForeignKey(db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='keys.virtualkey')),
                ('team', models.ForeignKey(db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='teams.team')),
                ('member_id', models.BigIntegerField(null=True)),
                ('user', models.ForeignKey(db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('customer', models.ForeignKey(db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='teams.customer')),
                ('request_id', models.CharField(max_length=64)),
                ('call_type', models.CharField(max_length=32)),
                ('model', models.CharField(max_length=255)),
                ('deployment', models.CharField(max_length=128)),
                ('provider', models.CharField(max_length=64)),
                ('upstream_model', models.CharField(max_length=255)),
                ('admitted_at', models.DateTimeField()),
                ('token', models.CharField(blank=True, default='', max_length=64)),
                ('tags', models.JSONField(default=list)),
                ('degraded', models.BooleanField(default=False, verbose_name='admitted without the counter store')),
                ('id', models.CharField(max_length=32, primary_key=True, serialize=False)),
                ('status', models.PositiveSmallIntegerField()),
                ('kind', models.CharField(max_length=64)),
                ('message', models.CharField(max_length=500)),
            ],
            options={
                'indexes': [models.Index(fields=['admitted_at'], name='spend_refusal_time'), models.Index(fields=['request_id'], name='spend_refusal_request')],
            },
        ),
        migrations.CreateModel(
            name='LedgerEntry',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('organization', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='teams.organization')),
                ('key', models.ForeignKey(db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='keys.virtualkey')),
                ('team', models.ForeignKey(db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='teams.team')),
                ('member_id', models.BigIntegerField(null=True)),
                ('user', models.ForeignKey(db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('customer', models.ForeignKey(db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='teams.customer')),
                ('request_id', models.CharField(max_length=64)),
                ('call_type', models.CharField(max_length=32)),
                ('model', models.CharField(max_length=255)),
                ('deployment', models.CharField(max_length=128)),
                ('provider', models.CharField(max_length=64)),
                ('upstream_model', models.CharField(max_length=255)),
                ('admitted_at', models.DateTimeField()),
                ('token', models.CharField(blank=True, default='', max_length=64)),
                ('tags', models.JSONField(default=list)),
                ('degraded', models.BooleanField(default=False, verbose_name='admitted without the counter store')),
                ('hold', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='entries', to='spend.hold')),
                ('kind', models.CharField(choices=[('charge', 'Charge'), ('correction', 'Correction')], default='charge', max_length=16)),
                ('amount_nano', models.BigIntegerField(verbose_name='amount (nano-USD)')),
                ('residue_pico', models.SmallIntegerField(default=0, verbose_name='rounding residue (pico-USD)')),
                ('price', models.ForeignKey(db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='spend.price')),
                ('input_tokens', models.BigIntegerField(default=0)),
                ('output_tokens', models.BigIntegerField(default=0)),
                ('cached_tokens', models.BigIntegerField(default=0)),
                ('cache_write_tokens', models.BigIntegerField(default=0)),
                ('reasoning_tokens', models.BigIntegerField(default=0)),
                ('further_usage', models.JSONField(blank=True, default=dict)),
                ('usage_source', models.CharField(choices=[('upstream', 'Reported by the provider'), ('estimated_partial', 'Estimated: the provider reported no usage'), ('estimated_orphan', 'Estimated: the outcome is unknown')], max_length=24)),
                ('overrun', models.BooleanField(default=False)),
                ('response_id', models.CharField(blank=True, default='', max_length=255)),
                ('scopes', models.JSONField(default=list)),
                ('finished_at', models.DateTimeField()),
                ('first_byte_at', models.DateTimeField(null=True)),
                ('posted_at', models.DateTimeField(default=django.utils.timezone.now)),
            ],
            options={
                'verbose_name_plural': 'ledger entries',
                'ordering': ['-pk'],
                'indexes': [models.Index(fields=['organization', 'admitted_at'], name='spend_entry_org'), models.Index(condition=models.Q(('team__isnull', False)), fields=['team', 'admitted_at'], name='spend_entry_team'), models.Index(condition=models.Q(('user__isnull', False)), fields=['user', 'admitted_at'], name='spend_entry_user'), models.Index(fields=['key', 'admitted_at'], name='spend_entry_key'), models.Index(condition=models.Q(('customer__isnull', False)), fields=['customer', 'admitted_at'], name='spend_entry_customer'), models.Index(fields=['admitted_at'], name='spend_entry_at'), models.Index(fields=['request_id'], name='spend_entry_request'), models.Index(condition=models.Q(('response_id', ''), _negated=True), fields=['response_id'], name='spend_entry_response'), models.Index(condition=models.Q(('kind', 'correction')), fields=['hold'], name='spend_entry_correction'), models.Index(condition=models.Q(('kind', 'correction')), fields=['admitted_at'], name='spend_entry_corrected'), models.Index(condition=models.Q(('usage_source', 'estimated_partial')), fields=['admitted_at'], name='spend_entry_estimated'), models.Index(condition=models.Q(('usage_source', 'estimated_orphan')), fields=['admitted_at'], name='spend_entry_orphan'), models.Index(condition=models.Q(spend.late.PostedLate('posted_at', 'admitted_at')), fields=['posted_at'], name='spend_entry_late')],
                'constraints': [models.UniqueConstraint(condition=models.Q(('kind', 'charge')), fields=('hold',), name='spend_one_charge_per_hold'), models.CheckConstraint(condition=models.Q(('kind', 'correction'), ('amount_nano__gte', 0), _connector='OR'), name='spend_charge_not_negative'), models.CheckConstraint(condition=models.Q(('input_tokens__gte', 0), ('output_tokens__gte', 0), ('cached_tokens__gte', 0), ('cache_write_tokens__gte', 0), ('reasoning_tokens__gte', 0)), name='spend_tokens_not_negative')],
            },
        ),
        migrations.CreateModel(
            name='Rollup',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('scope', models.CharField(max_length=64)),
                ('model', models.CharField(max_length=255)),
                ('quarter', models.DateTimeField()),
                ('amount_nano', models.BigIntegerField(default=0)),
                ('requests', models.BigIntegerField(default=0)),
                ('input_tokens', models.BigIntegerField(default=0)),
                ('output_tokens', models.BigIntegerField(default=0)),
            ],
            options={
                'indexes': [models.Index(fields=['quarter'], name='spend_rollup_quarter')],
                'constraints': [models.UniqueConstraint(fields=('scope', 'quarter', 'model'), name='spend_rollup_once')],
            },
        ),
        migrations.CreateModel(
            name='Activity',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('day', models.DateField()),
                ('organization_id', models.BigIntegerField()),
                ('model', models.CharField(max_length=255)),
                ('upstream_model', models.CharField(max_length=255)),
                ('provider', models.CharField(max_length=64)),
                ('call_type', models.CharField(max_length=32)),
                ('amount_nano', models.BigIntegerField(default=0)),
                ('requests', models.BigIntegerField(default=0)),
                ('input_tokens', models.BigIntegerField(default=0)),
                ('output_tokens', models.BigIntegerField(default=0)),
                ('cached_tokens', models.BigIntegerField(default=0)),
                ('cache_write_tokens', models.BigIntegerField(default=0)),
                ('failed_requests', models.BigIntegerField(db_default=0, default=0, verbose_name='attempts that failed')),
                ('team_id', models.BigIntegerField()),
                ('user_id', models.BigIntegerField()),
                ('key_id', models.BigIntegerField()),
                ('customer_id', models.BigIntegerField()),
                ('tag', models.CharField(max_length=255)),
            ],
            options={
                'verbose_name_plural': 'activity',
                'indexes': [models.Index(condition=models.Q(('tag', '')), fields=['-day', '-id'], name='spend_activity_page'), models.Index(condition=models.Q(('tag', ''), _negated=True), fields=['day'], name='spend_activity_tagged'), models.Index(condition=models.Q(('customer_id__gt', 0)), fields=['customer_id', 'day'], name='spend_activity_customer'), models.Index(fields=['organization_id', 'day'], name='spend_activity_org'), models.Index(fields=['team_id', 'day'], name='spend_activity_team'), models.Index(fields=['user_id', 'day'], name='spend_activity_user')],
                'constraints': [models.UniqueConstraint(fields=('key_id', 'day', 'model', 'upstream_model', 'provider', 'call_type', 'tag', 'customer_id', 'user_id', 'team_id', 'organization_id'), name='spend_activity_once')],
            },
        ),
        migrations.CreateModel(
            name='Crossing',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('scope', models.CharField(max_length=64)),
                ('counter', models.CharField(max_length=400)),
                ('kind', models.CharField(choices=[('soft', 'Soft budget')], default='soft', max_length=8)),
                ('amount_nano', models.BigIntegerField(verbose_name='mark (nano-USD)')),
                ('at', models.DateTimeField()),
            ],
            options={
                'ordering': ['-pk'],
                'indexes': [models.Index(fields=['scope', '-id'], name='spend_crossing_scope')],
                'constraints': [models.UniqueConstraint(fields=('counter', 'kind'), name='spend_crossing_once'), models.CheckConstraint(condition=models.Q(('amount_nano__gte', 0)), name='spend_crossing_not_negative')],
            },
        ),
        migrations.CreateModel(
            name='SpendReset',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('scope', models.CharField(max_length=64)),
                ('counter', models.CharField(max_length=400)),
                ('slice', models.BigIntegerField(default=0, verbose_name='slice of a rolling window')),
                ('amount_nano', models.BigIntegerField(verbose_name='forgiven (nano-USD)')),
                ('at', models.DateTimeField()),
                ('by', models.CharField(max_length=255)),
            ],
            options={
                'indexes': [models.Index(fields=['counter'], name='spend_reset_counter')],
                'constraints': [models.CheckConstraint(condition=models.Q(('amount_nano__gt', 0)), name='spend_reset_positive')],
            },
        ),
        append_only('spend_ledgerentry'),
        append_only('spend_price'),
        append_only('spend_spendreset'),
    ]
