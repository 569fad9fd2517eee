"""A chart as an SVG of our own: groups of bars, one group per load, one bar per candidate."""

from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

_COLORS = ("#8d99ae", "#2b6cb0", "#63b3ed", "#2f855a", "#68d391", "#b7791f")
_WIDTH, _PANEL, _LEFT, _TOP, _GAP = 860, 220, 60, 70, 70
_FONT = 'font-family="system-ui, -apple-system, Segoe UI, sans-serif"'


@dataclass(frozen=True)
class Panel:
    """`values[group][series]`; None draws no bar. `mark` is a line to compare with, in the values' unit."""

    title: str
    groups: Sequence[str]
    values: Sequence[Sequence[float | None]]
    mark: float | None = None


def bars(title: str, series: Sequence[str], panels: Sequence[Panel], note: str = "") -> str:
    """One picture with the panels below each other and one legend."""
    height = _TOP + len(panels) * (_PANEL + _GAP) + 20
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" role="img" {_FONT} font-size="12">',
        f'<rect width="{_WIDTH}" height="{height}" fill="#ffffff"/>',
        _text(_LEFT, 24, title, size=16, weight=600),
        *_legend(series),
    ]
    for number, panel in enumerate(panels):
        parts += _panel(panel, len(series), _TOP + number * (_PANEL + _GAP) + 36)
    parts += [_text(_LEFT, height - 10, note, color="#666666", size=11), "</svg>"]
    return "\n".join(parts) + "\n"


def _legend(series: Sequence[str]) -> list[str]:
    parts, x = [], float(_LEFT)
    for number, name in enumerate(series):
        parts.append(f'<rect x="{x:.0f}" y="38" width="12" height="12" fill="{_color(number)}"/>')
        parts.append(_text(x + 17, 48, name))
        x += 34 + 6.6 * len(name)
    return parts


def _panel(panel: Panel, series: int, top: float) -> list[str]:
    shown = [value for group in panel.values for value in group if value is not None]
    most, step = scale(max([*shown, panel.mark or 0.0], default=0.0))
    bottom = top + _PANEL - 24

    def height_of(value: float) -> float:
        return value / most * (bottom - top)

    parts = [_text(_LEFT, top - 22, panel.title, size=13, weight=600)]
    for number in range(round(most / step) + 1):
        y = bottom - height_of(number * step)
        parts.append(f'<line x1="{_LEFT}" x2="{_WIDTH - 20}" y1="{y:.1f}" y2="{y:.1f}" stroke="#e2e2e2"/>')
        parts.append(_text(_LEFT - 8, y + 4, f"{number * step:g}", anchor="end", color="#666666"))
    if panel.mark is not None:
        y = bottom - height_of(panel.mark)
        parts.append(
            f'<line x1="{_LEFT}" x2="{_WIDTH - 20}" y1="{y:.1f}" y2="{y:.1f}" stroke="#c53030" stroke-dasharray="5 4"/>'
        )
    wide = (_WIDTH - 20 - _LEFT) / max(1, len(panel.groups))
    bar = min(46.0, (wide - 24) / max(1, series))
    for index, (name, values) in enumerate(zip(panel.groups, panel.values, strict=True)):
        middle = _LEFT + wide * (index + 0.5)
        parts.append(_text(middle, bottom + 18, name, anchor="middle"))
        for number, value in enumerate(values):
            if value is None:
                continue
            x, high = middle + (number - series / 2) * bar, height_of(value)
            parts.append(
                f'<rect x="{x + 1:.1f}" y="{bottom - high:.1f}" width="{bar - 2:.1f}" height="{high:.1f}" '
                f'fill="{_color(number)}"/>'
            )
            parts.append(_text(x + bar / 2, bottom - high - 4, short(value), anchor="middle", size=10))
    return parts


def scale(most: float) -> tuple[float, float]:
    """A round number at least as large as `most`, and the step between lines: at most six of them."""
    if most <= 0:
        return 1.0, 0.5
    unit = 1.0
    while unit > most:
        unit /= 10
    while unit * 10 <= most:
        unit *= 10
    step = next(unit * part for part in (0.2, 0.5, 1.0, 2.0, 5.0) if unit * part * 6 >= most)
    lines = -int(-most / step // 1)
    return lines * step, step


def short(value: float) -> str:
    """As much as fits over a bar: 0.52, 9.75, 483."""
    return f"{value:.0f}" if value >= 100 else f"{value:.2f}"


def _color(number: int) -> str:
    return _COLORS[number % len(_COLORS)]


def _text(
    x: float, y: float, text: str, *, anchor: str = "start", size: int = 12, weight: int = 400, color: str = "#222222"
) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" font-weight="{weight}" '
        f'fill="{color}">{escape(text)}</text>'
    )
