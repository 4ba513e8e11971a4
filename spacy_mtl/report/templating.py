"""The Jinja2 templates, and how numbers are written in them. Everything is escaped unless it is marked as HTML."""

from functools import lru_cache
from importlib import resources
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

MINUS, DASH = "\N{MINUS SIGN}", "\N{EN DASH}"
# how scores are called in sentences; others go by their key
METRICS = {"acc": "accuracy", "p": "precision", "r": "recall", "f": "F1", "micro_f": "micro F1", "macro_f": "macro F1"}
UNITS = ((1e9, "G"), (1e6, "M"), (1e3, "k"))


@lru_cache(maxsize=1)
def environment() -> Environment:
    """The templates, with the filters below."""
    env = Environment(
        loader=PackageLoader("spacy_mtl.report"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    env.filters.update(
        percent=percent,
        points=points,
        signed=signed,
        count=count,
        short=short,
        size=size,
        duration=duration,
        metric=metric_name,
    )
    return env


def render(template: str, **values: Any) -> Markup:
    """Fill a template of `templates/`."""
    return Markup(environment().get_template(template).render(values))


def asset(name: str) -> Markup:
    """A file of `assets/`, as it is."""
    return Markup((resources.files("spacy_mtl.report") / "assets" / name).read_text(encoding="utf8"))


def percent(share: float | None) -> str:
    """A share in per cent, without the sign."""
    return DASH if share is None else f"{100 * share:.1f}"


def points(share: float | None) -> str:
    """A difference of two shares in percentage points, always with its sign."""
    if share is None:
        return DASH
    text = f"{100 * share:+.1f}"
    return "0.0" if float(text) == 0 else text.replace("-", MINUS)


def signed(number: float) -> str:
    """A number to two decimals, with a minus sign if it is negative."""
    text = f"{number:.2f}"
    return "0.00" if float(text) == 0 else text.replace("-", MINUS)


def metric_name(metric: str, head: str) -> str:
    """A head's score in words. metric (str): Such as "intent_acc"."""
    name = metric.removeprefix(f"{head}_")
    return METRICS.get(name, name)


def count(number: float | None) -> str:
    """A whole number with separators."""
    return DASH if number is None else f"{number:,.0f}"


def short(number: float | None) -> str:
    """A number to three digits."""
    if number is None:
        return DASH
    for factor, unit in UNITS:
        if abs(number) >= factor:
            return f"{number / factor:.3g} {unit}"
    return f"{number:.3g}"


def size(n_bytes: float | None) -> str:
    """A size in bytes."""
    return DASH if n_bytes is None else f"{short(n_bytes)}B" if n_bytes >= 1e3 else f"{n_bytes:.0f} B"


def duration(seconds: float | None) -> str:
    """A time."""
    if seconds is None:
        return DASH
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {rest:02} s"
