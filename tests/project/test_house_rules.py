"""Rules of the house that no linter knows. Each names the offenders, so the message says what to mend."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.apps import apps
from django.db.models import FloatField

ROOT = Path(__file__).parents[2]
APPS = ("gateway_project", "proxy", "spend", "keys", "teams")
MAX_FUNCTION, MAX_FILE = 50, 400


def sources(*folders: str) -> list[Path]:
    files = [path for folder in folders for path in (ROOT / folder).rglob("*.py")]
    return [path for path in files if "migrations" not in path.parts]


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def test_functions_are_short() -> None:
    long = [
        f"{path.relative_to(ROOT)}:{node.lineno} {node.name}"
        for path in sources(*APPS, "tests")
        for node in functions(path)
        if (node.end_lineno or 0) - node.lineno + 1 > MAX_FUNCTION
    ]
    assert long == []


def test_files_are_short() -> None:
    files = {str(path.relative_to(ROOT)): path for path in sources(*APPS, "tests")}
    long = [name for name, path in files.items() if len(path.read_text().splitlines()) > MAX_FILE]
    assert long == []


def test_first_party_imports_stand_at_the_top() -> None:
    lazy = [
        f"{path.relative_to(ROOT)}:{statement.lineno}"
        for path in sources(*APPS)
        for node in functions(path)
        for statement in ast.walk(node)
        if isinstance(statement, ast.Import | ast.ImportFrom) and _is_ours(statement)
    ]
    assert lazy == []


@pytest.mark.parametrize("app", ["teams", "keys", "spend", "proxy"])
def test_no_column_is_a_float(app: str) -> None:
    """Money is integer nano-USD or Decimal; nothing else here needs a float either."""
    fields = [field for model in apps.get_app_config(app).get_models() for field in model._meta.get_fields()]
    assert [str(field) for field in fields if isinstance(field, FloatField)] == []


@pytest.mark.parametrize("app", ["teams", "keys", "spend", "proxy"])
def test_every_amount_of_money_says_its_unit_and_is_a_whole_number(app: str) -> None:
    wrong = [
        str(field)
        for model in apps.get_app_config(app).get_models()
        for field in model._meta.concrete_fields
        if ("budget_nano" in field.name or "amount" in field.name)
        and not (field.name.endswith("_nano") and field.get_internal_type() == "BigIntegerField")
    ]
    assert wrong == []


def test_nothing_is_left_for_later() -> None:
    marks = ("TODO", "FIXME", "XXX")
    left = [path for path in sources(*APPS) for mark in marks if mark in path.read_text()]
    assert left == []


def test_a_row_lock_leaves_others_their_foreign_keys() -> None:
    """PostgreSQL checks foreign keys of intents and postings under a lock that a full row lock excludes: who takes one
    and then waits for an organization waits for calls that wait for the row."""
    full = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in sources(*APPS)
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "select_for_update"
        and "no_key" not in {keyword.arg for keyword in node.keywords}
    ]
    assert full == []


def _is_ours(statement: ast.Import | ast.ImportFrom) -> bool:
    names = [statement.module or ""] if isinstance(statement, ast.ImportFrom) else [a.name for a in statement.names]
    return any(name.split(".")[0] in APPS for name in names)
