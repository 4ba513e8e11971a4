"""The parts of a report. Each is found through the entry points `spacy_mtl_report_sections`: an installed package that
has one needs no other change.
"""

from typing import Protocol, runtime_checkable

from spacy.util import registry

from .report_data import ReportData


@runtime_checkable
class Section(Protocol):
    """One part of the page. The entry point names a function without arguments that makes it.

    id (str): Its anchor in the page, unique.
    title (str): Its heading.
    order (int): Its place: sections come in ascending order. Those of spacy-mtl have 100, 200, and so on.
    """

    id: str
    title: str
    order: int

    def render(self, data: ReportData) -> str | None:
        """Make the HTML below the heading, in which all texts and labels are escaped. RETURNS: None if there is nothing
        to show; the section is left out then.
        """


def find_sections() -> list[Section]:
    """All registered sections, in their order. Raises a ValueError that names what is no section."""
    sections = []
    for name, make in vars(registry)["mtl_report_sections"].get_all().items():
        section = make()
        if not isinstance(section, Section):
            raise ValueError(
                f"report section {name!r}: {type(section).__name__} is no section; it needs id, title, order and render"
            )
        sections.append(section)
    return sorted(sections, key=lambda section: (section.order, section.id))
