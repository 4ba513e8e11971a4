"""A text with spans marked in it, drawn by displaCy."""

from collections.abc import Sequence

from markupsafe import Markup, escape
from spacy import displacy
from spacy.tokens import Doc

from .shown_decisions import MarkedSpan

# displaCy fills it with str.format. The colours are those of the page's theme, by class.
MARK = '<mark class="{kind}">{text}<span>{label}</span></mark>'
# tokens kept on either side of what is marked
CONTEXT = 30


def marked_text(doc: Doc, spans: Sequence[MarkedSpan], window: tuple[int, int]) -> Markup:
    """Draw the tokens of a window of the doc. Spans that overlap an earlier one are named after the text, those outside
    the window are not shown.
    """
    first, last = window
    inside: list[MarkedSpan] = []
    others: list[MarkedSpan] = []
    end = first
    visible = [span for span in spans if span.start < last and span.end > first]
    for span in sorted(visible, key=lambda span: (span.start, span.end)):
        fits = span.start >= end and span.end <= last
        (inside if fits else others).append(span)
        end = span.end if fits else end
    part = doc[first:last]
    offset = part.start_char
    direction = doc.vocab.writing_system.get("direction", "ltr")
    drawn = {
        "text": part.text,
        "ents": [
            {
                "start": doc[span.start].idx - offset,
                "end": doc[span.end - 1].idx + len(doc[span.end - 1]) - offset,
                "label": escape(span.label),
                "params": {"kind": span.kind},
            }
            for span in inside
        ],
        "settings": {"direction": direction, "lang": doc.lang_ or "en"},
    }
    html = displacy.render([drawn], style="ent", manual=True, jupyter=False, options={"template": MARK})
    before, after = ("… " if first else ""), (" …" if last < len(doc) else "")
    also = Markup("").join(
        Markup('<span class="also {}">{}<span>{}</span></span>').format(s.kind, doc[s.start : s.end].text, s.label)
        for s in others
    )
    return Markup('<div class="text">{}{}{}{}</div>').format(before, Markup(html.strip()), after, also)


def window_of(n_tokens: int, places: Sequence[tuple[int, int]]) -> tuple[int, int]:
    """The part of a doc to show: these places with some context, but never the whole of a long doc."""
    first, last = min(start for start, _ in places), max(end for _, end in places)
    start = max(0, first - CONTEXT)
    return start, min(n_tokens, last + CONTEXT, start + 5 * CONTEXT)
