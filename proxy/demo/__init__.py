"""The built-in demo provider: an OpenAI-compatible upstream without a model, to try Latchkey out for free."""
