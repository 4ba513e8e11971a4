"""The page of a graph in a real browser: no errors, no network, choosing and finding, narrow screens, themes."""

import pytest
import spacy
from browser import open_page
from spacy.tokens import Span

from spacy_mtl.graph.graph_page import MAX_DRAWN, best_connected, make_graph_page, write_html
from spacy_mtl.graph.knowledge_graph import KnowledgeGraph
from spacy_mtl.relation import Relation, set_relations

PANEL = "document.getElementById('graph-panel').textContent"


def make_graph(n_people=8):
    """People who work for two firms; the names try to break out of the page."""
    nlp = spacy.blank("en")
    graph = KnowledgeGraph()
    for number in range(n_people):
        doc = nlp.make_doc(f"Person{number} </script><b>joined Firm{number % 2} in Rome&quot; .")
        person, firm, city = (next(t.i for t in doc if t.text.startswith(name)) for name in ("Person", "Firm", "Rome"))
        spans = [
            Span(doc, person, person + 1, "PER"),
            Span(doc, firm, firm + 1, "ORG"),
            Span(doc, city, city + 1, "LOC"),
        ]
        doc.ents = spans
        set_relations(
            doc, [Relation(spans[0], spans[1], "works_for", 0.9), Relation(spans[1], spans[2], "in <i>", 0.5)]
        )
        graph.add(doc, f"news.txt, text {number + 1}")
    return graph


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = tmp_path_factory.mktemp("graph") / "kg.html"
    write_html(make_graph(), path)
    return path


@pytest.fixture
def page(path):
    with open_page(path) as page:
        page.show(width=1280)
        yield page
        assert page.errors == []


def test_the_best_connected_are_drawn():
    graph = make_graph(MAX_DRAWN + 10)
    drawn = best_connected(list(graph.strongest_edges()), MAX_DRAWN)
    assert len(drawn) == MAX_DRAWN
    assert drawn[0] in ("ORG:firm0", "ORG:firm1")
    html = make_graph_page(graph)
    assert f"The {MAX_DRAWN} best-connected of {MAX_DRAWN + 13} entities" in html


def test_nothing_is_loaded(page):
    assert page.run("performance.getEntriesByType('resource').map(entry => entry.name)") == []
    assert page.run("document.querySelectorAll('main b, main i:not(.dot)').length") == 0


def test_all_is_drawn_inside_of_the_canvas(page):
    assert page.run("document.getElementById('graph-canvas').cy.nodes().length") == 11
    assert page.run("document.getElementById('graph-canvas').cy.edges().length") == 10
    places = page.run("document.getElementById('graph-canvas').cy.nodes().map(node => node.renderedPosition())")
    width, height = page.run("(({cy}) => [cy.width(), cy.height()])(document.getElementById('graph-canvas'))")
    assert all(0 < place["x"] < width and 0 < place["y"] < height for place in places)
    far = [abs(a["x"] - b["x"]) + abs(a["y"] - b["y"]) > 20 for a in places for b in places if a is not b]
    assert all(far)


def extent(page):
    """The share of the canvas that the drawing takes, across or down, whichever is more."""
    return page.run(
        "(() => { const cy = document.getElementById('graph-canvas').cy; "
        "const box = cy.elements().renderedBoundingBox(); "
        "return Math.max(box.w / cy.width(), box.h / cy.height()); })()"
    )


def test_the_drawing_follows_the_window(page):
    """From a phone to a wide screen and back, unless a user has looked closer."""
    for width in (390, 1280, 600, 1500):
        page.show(width=width)
        page.run("new Promise(resolve => setTimeout(resolve, 100))")
        assert 0.7 < extent(page) <= 1.0, width
    page.run("document.querySelector('[data-zoom]').click()")
    zoom = page.run("document.getElementById('graph-canvas').cy.zoom()")
    page.show(width=900)
    page.run("new Promise(resolve => setTimeout(resolve, 100))")
    assert page.run("document.getElementById('graph-canvas').cy.zoom()") == zoom


def test_the_drawing_is_the_same_each_time(path):
    script = "document.getElementById('graph-canvas').cy.nodes().map(node => [node.position().x, node.position().y])"
    found = []
    for _ in range(2):
        with open_page(path) as page:
            page.show(width=1280)
            found.append(page.run(script))
    assert found[0] == found[1]


def test_an_entity_is_found_by_name(page):
    page.run("document.getElementById('graph-search').focus()")
    page.type("firm1")
    page.press("Enter")
    shown = page.run(PANEL)
    assert shown.startswith("Firm1 ORG")
    assert "4 mentions, 5 relations in the drawing" in shown
    assert "Person3 </script><b>joined Firm1 in Rome&quot; .news.txt, text 4" in shown
    page.run("[...document.querySelectorAll('#graph-panel button')].find(one => one.textContent === 'Person3').click()")
    assert page.run(PANEL).startswith("Person3 PER")
    page.run("document.getElementById('graph-search').value = 'nobody'")
    page.run("document.getElementById('graph-search').dispatchEvent(new Event('change'))")
    assert "No entity in the drawing is called “nobody”" in page.run(PANEL)


def test_choosing_in_the_drawing(page):
    page.run("document.getElementById('graph-canvas').cy.edges('[label=\"works_for\"]')[0].emit('tap') && 0")
    assert "works_for" in page.run(PANEL)
    assert "found 1 \u00d7, confidence 0.90" in page.run(PANEL)
    page.run("document.getElementById('graph-canvas').cy.emit('tap') && 0")
    assert page.run(PANEL) == "Nothing is chosen."


def test_relations_are_filtered_by_label(page):
    change = """
    (() => {
      const label = document.getElementById('graph-label');
      label.value = 'in <i>';
      label.dispatchEvent(new Event('change'));
      return document.getElementById('graph-canvas').cy.nodes(':visible').map(node => node.data('name')).sort();
    })()"""
    assert page.run(change) == ["Firm0", "Firm1", "Rome&quot"]


def test_the_tables_say_the_same(page):
    rows = page.run("[...document.querySelectorAll('#relations-table tbody tr')].map(row => row.cells[0].textContent)")
    assert len(rows) == 10
    assert rows[0] == "Firm0 ORG"
    assert page.run("document.querySelectorAll('#entities-table tbody tr').length") == 11


@pytest.mark.parametrize("dark", [False, True])
def test_a_narrow_screen_does_not_scroll_sideways(page, dark):
    page.show(width=390, dark=dark)
    assert page.run("document.documentElement.scrollWidth") <= 390


def test_the_drawing_has_the_colours_of_the_theme(page):
    color = "document.getElementById('graph-canvas').cy.nodes()[0].style('color')"
    page.show(width=1280, dark=False)
    page.run("new Promise(resolve => setTimeout(resolve, 50))")
    light = page.run(color)
    page.show(width=1280, dark=True)
    page.run("new Promise(resolve => setTimeout(resolve, 50))")
    assert (light, page.run(color)) == ("rgb(28,36,48)", "rgb(228,232,238)")
