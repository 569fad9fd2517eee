"""The benchmark's made-up rows are rows that Latchkey could have written."""

import json
import sqlite3
from collections import Counter
from pathlib import Path

import pytest

from bench.books import Books

SCHEMA = """
CREATE TABLE keys_virtualkey (id INTEGER PRIMARY KEY AUTOINCREMENT, public_id TEXT UNIQUE, token TEXT UNIQUE,
  alias TEXT UNIQUE, rpm_limit INTEGER);
CREATE TABLE spend_hold (id TEXT PRIMARY KEY, key_id INTEGER, model TEXT, scopes TEXT, admitted_at TEXT,
  lease_until TEXT, state TEXT);
CREATE TABLE spend_ledgerentry (id INTEGER PRIMARY KEY AUTOINCREMENT, hold_id TEXT UNIQUE, key_id INTEGER, model TEXT,
  scopes TEXT, admitted_at TEXT, finished_at TEXT, posted_at TEXT, request_id TEXT, amount_nano INTEGER,
  input_tokens INTEGER, output_tokens INTEGER, customer_id INTEGER, user_id INTEGER, team_id INTEGER,
  organization_id INTEGER DEFAULT 1, upstream_model TEXT DEFAULT 'u', provider TEXT DEFAULT 'p',
  call_type TEXT DEFAULT 'chat', cached_tokens INTEGER DEFAULT 0, cache_write_tokens INTEGER DEFAULT 0);
CREATE TABLE spend_rollup (id INTEGER PRIMARY KEY AUTOINCREMENT, scope TEXT, quarter TEXT, model TEXT,
  amount_nano INTEGER, requests INTEGER, input_tokens INTEGER, output_tokens INTEGER, UNIQUE (scope, quarter, model));
CREATE TABLE spend_activity (id INTEGER PRIMARY KEY AUTOINCREMENT, day TEXT, organization_id INTEGER, team_id INTEGER,
  user_id INTEGER, key_id INTEGER, customer_id INTEGER, tag TEXT, model TEXT, upstream_model TEXT, provider TEXT,
  call_type TEXT, amount_nano INTEGER, requests INTEGER, input_tokens INTEGER, output_tokens INTEGER,
  cached_tokens INTEGER, cache_write_tokens INTEGER, UNIQUE (key_id, day, model, upstream_model, provider, call_type,
  tag, customer_id, user_id, team_id, organization_id));
CREATE TABLE spend_dailytotal (id INTEGER PRIMARY KEY AUTOINCREMENT, day TEXT, organization_id INTEGER, of_team INTEGER,
  model TEXT, upstream_model TEXT, provider TEXT, call_type TEXT, amount_nano INTEGER, requests INTEGER,
  input_tokens INTEGER, output_tokens INTEGER, cached_tokens INTEGER, cache_write_tokens INTEGER);
CREATE TABLE spend_summedday (id INTEGER PRIMARY KEY, day TEXT);
CREATE TABLE spend_ownertotal (id INTEGER PRIMARY KEY, amount_nano INTEGER);
CREATE TABLE spend_scopetotal (scope TEXT PRIMARY KEY, amount_nano INTEGER);
INSERT INTO spend_summedday VALUES (1, '2026-01-30');
CREATE INDEX spend_entry_at ON spend_ledgerentry (admitted_at);
CREATE UNIQUE INDEX spend_one_charge ON spend_ledgerentry (hold_id);
INSERT INTO keys_virtualkey VALUES (7, 'real', 'hash', 'bench', 100);
INSERT INTO spend_hold VALUES ('h1', 7, 'canned', '["organization:1", "key:7"]', '2026-01-31 12:00:00', '', 'posted');
INSERT INTO spend_ledgerentry (id, hold_id, key_id, model, scopes, admitted_at, finished_at, posted_at, request_id,
  amount_nano, input_tokens, output_tokens) VALUES (1, 'h1', 7, 'canned', '["organization:1", "key:7"]',
  '2026-01-31 12:00:00', '2026-01-31 12:00:01', '2026-01-31 12:00:01', 'r1', 190, 12, 16);
"""


@pytest.fixture
def books(tmp_path: Path) -> Books:
    path = tmp_path / "latchkey.sqlite3"
    connection = sqlite3.connect(path)
    connection.executescript(SCHEMA)
    connection.close()
    return Books(sqlite=path)


def test_keys_are_copies_that_nobody_has(books: Books) -> None:
    books.add_keys(50)
    rows = books.execute("SELECT public_id, token, alias, rpm_limit FROM keys_virtualkey WHERE id <> 7")
    assert len(rows) == 49
    assert {(alias, limit) for _, _, alias, limit in rows} == {(None, 100)}


def test_filling_up_twice_adds_nothing(books: Books) -> None:
    books.add_keys(50)
    books.add_keys(50)
    assert books.count("keys_virtualkey") == 50


def test_every_posting_has_its_hold_and_names_its_own_key(books: Books) -> None:
    books.add_keys(5)
    books.add_ledger_rows(200)
    rows = books.execute("SELECT e.key_id, e.scopes FROM spend_ledgerentry e JOIN spend_hold h ON h.id = e.hold_id")
    assert len(rows) == 200
    assert all(json.loads(scopes) == ["organization:1", f"key:{key}"] for key, scopes in rows)
    assert len(Counter(key for key, _ in rows)) == 5


def test_rollups_add_up_to_the_new_postings_on_every_scope(books: Books) -> None:
    books.add_keys(5)
    books.add_ledger_rows(100)
    books.add_ledger_rows(200)
    sums = books.execute(
        "SELECT sum(requests), sum(amount_nano), sum(input_tokens) FROM spend_rollup WHERE scope = 'organization:1'"
    )
    activity = books.execute("SELECT sum(requests), sum(amount_nano), sum(input_tokens) FROM spend_activity")
    totals = books.execute("SELECT sum(requests), sum(amount_nano), sum(input_tokens) FROM spend_dailytotal")
    assert totals == activity == sums
    assert books.count("spend_summedday") == 0
    keys = books.execute("SELECT sum(requests) FROM spend_rollup WHERE scope LIKE 'key:%'")
    assert (sums, keys) == ([(199, 199 * 190, 199 * 12)], [(199,)])
    assert books.execute("SELECT count(*) FROM spend_rollup WHERE strftime('%M', quarter) % 15 <> 0") == [(0,)]


def test_indexes_are_there_again_afterwards(books: Books) -> None:
    books.add_keys(5)
    books.add_ledger_rows(100)
    names = {name for (name,) in books.execute("SELECT name FROM sqlite_master WHERE type = 'index'")}
    assert {"spend_entry_at", "spend_one_charge"} <= names
