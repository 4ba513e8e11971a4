"""The part of a doc that shows a relation."""

from spacy.tokens import Span

# tokens on either side of the arguments, where there are no sentences
CONTEXT = 30
# characters, beyond which the middle of a quotation is left out
LONGEST = 600


def quote(head: Span, tail: Span) -> str:
    """The sentences with both spans, on one line. Without sentences, the spans with some tokens around them. The middle
    of what is too long is left out.
    """
    doc = head.doc
    start, end = min(head.start, tail.start), max(head.end, tail.end)
    if doc.has_annotation("SENT_START"):
        first, last = doc[start].sent.start, doc[end - 1].sent.end
    else:
        first, last = max(0, start - CONTEXT), min(len(doc), end + CONTEXT)
    text = " ".join(doc[first:last].text.split())
    cut = [first > 0 and not doc[first].is_sent_start, last < len(doc) and not doc[last].is_sent_start]
    text = f"{'… ' * cut[0]}{text}{' …' * cut[1]}"
    return text if len(text) <= LONGEST else f"{text[: LONGEST // 2].rstrip()} … {text[-LONGEST // 2 :].lstrip()}"
