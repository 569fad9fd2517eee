from pathlib import Path

import pytest

from proxy.call_defaults import CallDefaults
from proxy.config_file import Config, ConfigError, read_config

EXAMPLE = Path(__file__).parents[2] / "docs" / "config.example.yaml"
FULL = """
model_list:
  - model_name: gpt
    litellm_params: {model: openai/gpt-4o-mini, api_key: os.environ/OPENAI_API_KEY}
    model_info: {mode: chat}
general_settings:
  master_key: os.environ/MASTER
"""


@pytest.fixture
def write(tmp_path: Path) -> object:
    def write(text: str) -> str:
        path = tmp_path / "config.yaml"
        path.write_text(text)
        return str(path)

    return write


def test_no_file_is_an_empty_configuration() -> None:
    assert read_config("", {}) == Config()


def test_values_are_read_from_the_environment(write) -> None:  # type: ignore[no-untyped-def]
    config = read_config(write(FULL), {"OPENAI_API_KEY": "sk-provider", "MASTER": "sk-master"})
    assert config.master_key == "sk-master"
    assert config.models[0]["litellm_params"] == {"model": "openai/gpt-4o-mini", "api_key": "sk-provider"}
    assert config.warnings == ()
    assert "sk-" not in repr(config)


def test_the_secrets_that_models_name_are_known_with_their_addresses(write) -> None:  # type: ignore[no-untyped-def]
    text = """
model_list:
  - {model_name: a, litellm_params: {model: groq/a, api_key: os.environ/KEY, api_base: "http://127.0.0.1/v1"}}
  - {model_name: b, litellm_params: {model: gpt-4o, api_key: os.environ/KEY}}
  - {model_name: c, litellm_params: {model: bedrock/c, api_key: plain}}
"""
    lent = read_config(write(text), {"KEY": "sk-lent", "OTHER": "x"}).lent
    assert [(one.name, one.secret, one.addresses) for one in lent] == [
        ("KEY", "sk-lent", ("http://127.0.0.1/v1", "https://api.groq.com/openai/v1")),
        ("KEY", "sk-lent", ("https://api.openai.com/v1",)),
    ]
    assert "sk-lent" not in repr(lent)


def test_a_model_without_a_key_gets_its_providers_usual_one(write) -> None:  # type: ignore[no-untyped-def]
    text = """
model_list:
  - {model_name: a, litellm_params: {model: groq/a}}
  - {model_name: b, litellm_params: {model: gpt-4o}}
  - {model_name: c, litellm_params: {model: mistral/c}}
  - {model_name: d, litellm_params: {model: groq/d, api_base: "http://elsewhere/v1"}}
  - {model_name: e, litellm_params: {model: groq/e, litellm_credential_name: stored}}
  - {model_name: f, litellm_params: {model: bedrock/f}}
"""
    given = {"GROQ_API_KEY": "sk-groq", "OPENAI_API_KEY": "sk-openai", "OPENAI_BASE_URL": "http://127.0.0.1:9/v1"}
    config = read_config(write(text), given)
    keys = [model["litellm_params"].get("api_key") for model in config.models]
    assert keys == ["sk-groq", "sk-openai", None, None, None, None]
    assert [(one.name, one.addresses) for one in config.lent] == [
        ("GROQ_API_KEY", ("https://api.groq.com/openai/v1",)),
        ("OPENAI_API_KEY", ("http://127.0.0.1:9/v1",)),
    ]


def test_a_setting_without_its_variable_is_named_with_its_place(write) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ConfigError, match=r"general_settings.master_key .* MASTER"):
        read_config(write(FULL), {"OPENAI_API_KEY": "sk-openai"})


def test_a_model_whose_key_nobody_set_is_served_without_one(write) -> None:  # type: ignore[no-untyped-def]
    text = "model_list: [{model_name: a, litellm_params: {model: openai/a, api_key: os.environ/ALICE}}]"
    config = read_config(write(text), {"OPENAI_API_KEY": "sk-usual"})
    assert config.models[0]["litellm_params"] == {"model": "openai/a"}
    [warning] = config.warnings
    assert warning.startswith("model_list[0]: calls are sent without a key: litellm_params.api_key")
    assert "ALICE" in warning
    assert config.lent == ()


def test_a_model_that_would_go_elsewhere_without_its_variable_is_left_out(write) -> None:  # type: ignore[no-untyped-def]
    text = """
model_list:
  - {model_name: a, litellm_params: {model: openai/a, api_key: os.environ/KEY, api_base: os.environ/A_HOME}}
  - {model_name: b, litellm_params: {model: openai/b, api_key: os.environ/KEY}}
"""
    config = read_config(write(text), {"KEY": "sk-key"})
    assert [model["model_name"] for model in config.models] == ["b"]
    assert config.warnings == (
        "model_list[0]: left out: litellm_params.api_base refers to the environment variable A_HOME, which is not set",
    )
    assert [one.name for one in config.lent] == ["KEY"]


def test_the_file_may_bring_variables_of_its_own(write) -> None:  # type: ignore[no-untyped-def]
    text = FULL + "\nenvironment_variables: {OPENAI_API_KEY: sk-of-the-file, PORT: 7, NOTHING: null}"
    config = read_config(write(text), {"MASTER": "sk-master", "OPENAI_API_KEY": "sk-of-the-process"})
    assert config.models[0]["litellm_params"]["api_key"] == "sk-of-the-file"
    assert "sk-of-the-file" not in repr(config)
    with pytest.raises(ConfigError, match="environment_variables must be a mapping"):
        read_config(write("environment_variables: [A]"), {})


def test_unknown_keys_are_named_never_ignored_in_silence(write) -> None:  # type: ignore[no-untyped-def]
    text = """
surprise: 1
litellm_settings: {drop_params: true}
general_settings: {alerting: [slack]}
model_list: [{model_name: a, litellm_params: {model: openai/a}, colour: red}]
"""
    warnings = " ".join(read_config(write(text), {}).warnings)
    for name in ("surprise", "litellm_settings", "general_settings.alerting", "model_list[0].colour"):
        assert name in warnings


def test_what_is_so_in_any_case_is_worth_no_warning(write) -> None:  # type: ignore[no-untyped-def]
    on = "general_settings: {store_model_in_db: true}\nlitellm_settings: {store_audit_logs: true}"
    assert read_config(write(on), {}).warnings == ()
    assert "store_model_in_db" in read_config(write(on.replace("true", "false")), {}).warnings[0]


def test_a_setting_that_is_ignored_may_name_a_variable_that_nobody_set(write) -> None:  # type: ignore[no-untyped-def]
    config = read_config(write("router_settings: {redis_host: os.environ/REDIS_HOST}"), {})
    assert config.warnings == ("router_settings.redis_host: unknown setting, ignored",)


def test_more_retries_than_we_make_are_ours_with_a_warning(write) -> None:  # type: ignore[no-untyped-def]
    model = "{model_name: a, litellm_params: {model: openai/a, num_retries: 50}}"
    config = read_config(write(f"model_list: [{model}]"), {})
    assert config.models[0]["litellm_params"]["num_retries"] == 10
    assert "model_list[0].litellm_params.num_retries" in config.warnings[0]


def test_models_that_state_nothing_of_it_get_the_files_own_retries_and_timeout(write) -> None:  # type: ignore[no-untyped-def]
    text = "litellm_settings: {num_retries: os.environ/TRIES, request_timeout: 30}\nrouter_settings: {timeout: 0.5}"
    config = read_config(write(text), {"TRIES": "4"})
    assert (config.defaults, config.warnings) == (CallDefaults(timeout_seconds=1, max_retries=4), ())
    config = read_config(write(text), {"TRIES": "50"})
    assert config.defaults.max_retries == 10
    assert config.warnings == ("litellm_settings.num_retries: 50 is more than the 10 we make",)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [", "is not YAML"),
        ("- 1", "must hold sections"),
        ("model_list: {a: 1}", "model_list must be a list"),
        ("model_list: [{model_name: a}]", "needs model_name and litellm_params"),
        ("model_list: [text]", "needs model_name"),
        ("general_settings: [1]", "general_settings must be a mapping"),
    ],
)
def test_a_wrong_value_is_refused_with_its_place(write, text: str, message: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ConfigError, match=message):
        read_config(write(text), {})


def test_a_file_that_is_not_there_is_refused() -> None:
    with pytest.raises(ConfigError, match="cannot read"):
        read_config("/nowhere/config.yaml", {})


def test_the_example_of_the_documentation_reads_without_a_warning() -> None:
    config = read_config(str(EXAMPLE), {"OPENAI_API_KEY": "a", "LATCHKEY_MASTER_KEY": "b", "VLLM_API_KEY": "c"})
    assert len(config.models) >= 2
    assert config.warnings == ()
