"""A section of the report: the shortest doc."""

from markupsafe import escape


def make_shortest_v1():
    """Build the section."""
    return Shortest()


class Shortest:
    id = "acme-shortest"
    title = "The shortest doc"
    order = 150

    def render(self, data):
        return f"<p>{escape(min(data.docs, key=len).text)}</p>" if data.docs else None
