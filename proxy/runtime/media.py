"""How many tokens an image or a recording may be at most. Pure.

Images by the provider's published rules for the largest picture that they allow; recordings by their
length, which the bytes bound. None where nothing is published: then only the context window is a bound.
"""

import base64
import binascii
from typing import Any

#: OpenAI, by the beginning of the model's name: tokens at low and at high detail. Tiles: at most eight of 512
#: pixels beside a base. Patches: at most 1,536 of 32 pixels, times a factor of the model's.
_OPENAI = (
    ("gpt-4o-mini", 2_833, 2_833 + 8 * 5_667),
    ("gpt-4o", 85, 85 + 8 * 170),
    ("gpt-4.1-mini", 2_489, 2_489),
    ("gpt-4.1-nano", 3_779, 3_779),
    ("gpt-4.1", 85, 85 + 8 * 170),
    ("gpt-4-turbo", 85, 85 + 8 * 170),
    ("gpt-5-mini", 2_489, 2_489),
    ("gpt-5-nano", 3_779, 3_779),
    ("gpt-5-", 70, 70 + 8 * 140),
    ("o4-mini", 2_642, 2_642),
    ("o1", 75, 75 + 8 * 150),
    ("o3", 75, 75 + 8 * 150),
    ("computer-use-preview", 65, 65 + 8 * 129),
    # The most that any model's rule comes to; also for ten thousand patches at the largest factor.
    ("", 2_833, 2_833 + 8 * 5_667),
)
#: Other providers: tokens of any image.
_IMAGE = {"xai": 1_792, "mistral": 4_160}
#: Pictures that OpenAI makes, by the beginning of the model's name: output tokens of the largest at high quality.
_DRAWN = (("gpt-image-1", 6_240),)
_AUDIO_PER_SECOND = 32
"""Tokens of a second of sound, above what any model makes of it."""
_MP3_BYTES_PER_SECOND = 1_000
"""The lowest bit rate that the format has is 8 kbit/s."""
#: WAVE formats whose bytes tell their length: PCM, float, A-law, mu-law, and PCM under its extended number.
_WAVE = {1, 3, 6, 7, 0xFFFE}


def image_bound(provider: str, upstream_model: str, detail: Any) -> int | None:
    """Tokens of one image at most."""
    if provider != "openai":
        return _IMAGE.get(provider)
    model = upstream_model.removeprefix("ft:")
    if model == "gpt-5":
        model = "gpt-5-"
    low, high = next((low, high) for start, low, high in _OPENAI if model.startswith(start))
    return low if detail == "low" else high


def drawn_bound(provider: str, upstream_model: str) -> int | None:
    """Output tokens of one picture that is made."""
    found = (most for start, most in _DRAWN if provider == "openai" and upstream_model.startswith(start))
    return next(found, None)


def audio_bound(part: Any) -> int | None:
    """Tokens of one `input_audio` at most: `{"data": <base64>, "format": "wav" | "mp3"}`."""
    if not isinstance(part, dict) or not isinstance(part.get("data"), str):
        return None
    data: str = part["data"]
    size = len(data) * 3 // 4
    match part.get("format"):
        case "mp3":
            return size * _AUDIO_PER_SECOND // _MP3_BYTES_PER_SECOND + _AUDIO_PER_SECOND
        case "wav":
            return size * _AUDIO_PER_SECOND // _wave_rate(data) + _AUDIO_PER_SECOND
    return None


def _wave_rate(data: str) -> int:
    """Bytes per second as the samples' rate and size have it; one per token where the header does not tell."""
    try:
        head = base64.b64decode(data[:48], validate=True)
    except (binascii.Error, ValueError):
        return _AUDIO_PER_SECOND
    if len(head) < 36 or head[:4] != b"RIFF" or head[8:16] != b"WAVEfmt ":
        return _AUDIO_PER_SECOND
    kind, channels = int.from_bytes(head[20:22], "little"), int.from_bytes(head[22:24], "little")
    samples, bits = int.from_bytes(head[24:28], "little"), int.from_bytes(head[34:36], "little")
    rate = samples * channels * bits // 8
    return rate if kind in _WAVE and rate > _AUDIO_PER_SECOND else _AUDIO_PER_SECOND
