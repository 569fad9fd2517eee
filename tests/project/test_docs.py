"""docs/configuration.md lists exactly what the code reads from the environment and from the configuration file."""

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from proxy.call_defaults import CallDefaults
from proxy.config_file import GENERAL, LITELLM, ROUTER
from proxy.version import VERSION

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "configuration.md").read_text()
FILE = PAGE[PAGE.index("## Settings of the configuration file") :]
APPS = ("gateway_project", "proxy", "spend", "keys", "teams")
#: Read to be handed on or to find Django, not to configure Latchkey.
NOT_OURS = {"DJANGO_SETTINGS_MODULE"}


def calls(tree: ast.AST) -> Iterator[tuple[str, str]]:
    """Every call or subscript that names an environment variable: (what is called, the name)."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            yield ast.unparse(node.func), str(node.args[0].value)


def variables() -> set[str]:
    names = set()
    for path in (path for app in APPS for path in (ROOT / app).rglob("*.py")):
        for function, name in calls(ast.parse(path.read_text())):
            if function.startswith("env.") or function in ("os.environ.get", "os.getenv"):
                names.add(name)
    return {name for name in names if re.fullmatch(r"[A-Z][A-Z_]+", name)} - NOT_OURS


def documented() -> dict[str, str]:
    """Variable -> its default as the page gives it."""
    return dict(re.findall(r"^\| `([A-Z_]+)` \| (.+?) \|", PAGE, re.MULTILINE))


def test_every_variable_is_documented_and_nothing_else_is() -> None:
    assert variables() == documented().keys()


def defaults() -> dict[str, str]:
    """Defaults written as plain literals in the settings."""
    tree = ast.parse((ROOT / "gateway_project" / "settings.py").read_text())
    found = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("env.number", "env.choice"):
            name, default = node.args[0], node.args[1]
            found[ast.literal_eval(name)] = str(eval(ast.unparse(default), {}))
    return found


@pytest.mark.parametrize("name", defaults())
def test_the_documented_default_is_the_one_in_force(name: str) -> None:
    assert f"`{defaults()[name]}`" in documented()[name]


def test_every_setting_of_the_file_is_documented_and_nothing_else_is() -> None:
    known = {*GENERAL, *LITELLM, *ROUTER}
    assert [name for name in sorted(known) if not re.search(rf"`(?:\w+_settings\.)?{name}\b", PAGE)] == []
    rows = re.findall(r"^\| (`[a-z].+?) \|", FILE, re.MULTILINE)
    named = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    assert named - known == {"litellm_settings"}  # says where a setting is called otherwise


def test_the_documented_patience_is_the_one_in_force() -> None:
    usual = CallDefaults()
    assert f"| `num_retries` | `{usual.max_retries}` |" in FILE
    assert f"| `timeout` (in `litellm_settings`: `request_timeout`) | `{usual.timeout_seconds}` |" in FILE


@pytest.mark.parametrize("path", [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")], ids=lambda path: path.name)
def test_links_between_pages_lead_somewhere(path: Path) -> None:
    targets = re.findall(r"(?<!!)\[[^]]*\]\((?!https?:|#|mailto:)([^)#]+)", path.read_text())
    assert [target for target in targets if not (path.parent / target).exists()] == []


def test_the_version_is_the_one_that_the_project_says() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["version"] == VERSION
