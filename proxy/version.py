"""Which Latchkey this is, as answers tell it and `pyproject.toml` names it."""

VERSION = "0.1.0"
#: In the place where LiteLLM tells its own.
TOLD = f"latchkey-{VERSION}"
