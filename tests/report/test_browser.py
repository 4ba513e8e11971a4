"""The page in a real browser: no errors, no network, tables that sort and filter by keyboard, narrow screens."""

from itertools import pairwise

import pytest
from browser import open_page
from small_comparison import make_comparison

from spacy_mtl.report.from_comparison import data_of_comparison
from spacy_mtl.report.page import write_page

# the text of the first column of a table's visible rows
FIRST = """[...document.querySelectorAll('#{id} tbody tr')].filter(row => row.offsetHeight)
    .map(row => row.cells[0].textContent)"""


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """The report on a comparison with many labels, so that tables are cut and have a filter."""
    folder = make_comparison(tmp_path_factory.mktemp("comparison"), n_labels=30)
    write_page(data_of_comparison(folder), folder / "report.html")
    return folder / "report.html"


@pytest.fixture
def page(report):
    with open_page(report) as page:
        page.show(width=1280)
        yield page
        assert page.errors == []


def labels(page):
    return page.run(FIRST.format(id="labels-1"))


def focus(page, selector):
    page.run(f"document.querySelector({selector!r}).focus()")


def test_nothing_is_loaded(page):
    assert page.run("performance.getEntriesByType('resource').map(entry => entry.name)") == []


def test_the_keyboard_reaches_what_can_be_used(page):
    page.press("Tab")
    assert page.run("document.activeElement.className") == "skip"
    page.press("Enter")
    assert page.run("document.activeElement.id") == "content"
    reached = set()
    for _ in range(60):
        page.press("Tab")
        reached.add(page.run("document.activeElement.tagName"))
        assert page.run("getComputedStyle(document.activeElement).outlineStyle") != "none"
    assert {"BUTTON", "SUMMARY", "INPUT", "DIV"} <= reached


def test_columns_sort_by_keyboard(page):
    focus(page, "#labels-1 th:nth-child(2) button")
    page.press("Enter")
    column = "[...document.querySelectorAll('#labels-1 tbody tr')].map(row => Number(row.cells[1].textContent))"
    found = page.run(column)
    assert found == sorted(found, reverse=True)
    assert page.run("document.querySelector('#labels-1 th:nth-child(2)').ariaSort") == "descending"
    page.press("Space")
    assert page.run(column) == sorted(found)
    assert page.run("document.querySelector('#labels-1 th:nth-child(2)').ariaSort") == "ascending"
    assert page.run("document.activeElement.closest('th').cellIndex") == 1


def test_a_short_table_shows_the_first_rows_of_the_new_order(page):
    assert len(labels(page)) == 12
    focus(page, "#labels-1 th:first-child button")
    page.press("Enter")
    assert labels(page) == sorted(labels(page), reverse=True)
    assert len(labels(page)) == 12
    focus(page, "#labels-1 button.all")
    page.press("Enter")
    assert len(labels(page)) == 30
    assert page.run("document.activeElement.ariaExpanded") == "true"
    page.press("Enter")
    assert len(labels(page)) == 12


def test_rows_are_filtered_by_keyboard(page):
    focus(page, "#labels-1 input")
    page.type("label07")
    assert labels(page) == ["label07"]
    assert page.run("document.querySelector('#labels-1 output').textContent") == "1 of 30 rows"


@pytest.mark.parametrize("dark", [False, True])
def test_a_narrow_screen_does_not_scroll_sideways(page, dark):
    page.show(width=390, dark=dark)
    assert page.run("document.documentElement.scrollWidth") <= 390
    background = page.run("getComputedStyle(document.body).backgroundColor")
    assert background == ("rgb(20, 24, 30)" if dark else "rgb(255, 255, 255)")


def test_text_has_enough_contrast(page):
    """WCAG AA: 4.5 to 1 for every text on the background of the page, in both themes."""
    script = """
    (() => {
      const parse = (text) => text.match(/[\\d.]+/g).map(Number);
      const light = (text) => parse(text).slice(0, 3).map(v => v / 255)
        .map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
        .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
      const back = (node) => {
        for (; node; node = node.parentElement) {
          const color = getComputedStyle(node).backgroundColor;
          if (color.startsWith("rgb(")) return color;
        }
        return getComputedStyle(document.body).backgroundColor;
      };
      const bad = [];
      for (const node of document.querySelectorAll("body *")) {
        const own = [...node.childNodes].some(child => child.nodeType === 3 && child.textContent.trim());
        if (!own || node.closest("script,style,title,.matrix")) continue;
        const style = getComputedStyle(node);
        const color = light(node.closest("svg") ? style.fill : style.color);
        const [a, b] = [color, light(back(node))].sort((x, y) => y - x);
        const name = `${node.tagName}.${node.getAttribute("class")} ${node.textContent.slice(0, 20)}`;
        if ((a + 0.05) / (b + 0.05) < 4.5) bad.push(name);
      }
      return [...new Set(bad)];
    })()"""
    for dark in (False, True):
        page.show(width=1280, dark=dark)
        assert page.run(script) == []


def test_headings_tables_and_charts_are_named(page):
    assert page.run("document.querySelectorAll('table:not(:has(caption))').length") == 0
    assert page.run("document.querySelectorAll('th:not([scope])').length") == 0
    assert page.run("document.querySelectorAll('svg:not([aria-label]):not([aria-hidden] svg)').length") == 0
    levels = page.run("[...document.querySelectorAll('h1,h2,h3,h4')].map(node => Number(node.tagName[1]))")
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    ids = page.run("[...document.querySelectorAll('[id]')].map(node => node.id)")
    assert len(ids) == len(set(ids))


def test_print_shows_everything(page):
    page.run("document.querySelectorAll('details').forEach(part => { part.open = false; })")
    page.show(width=800, media="print")
    page.run("dispatchEvent(new Event('beforeprint'))")
    assert page.run("document.querySelectorAll('details:not([open])').length") == 0
    assert page.run("getComputedStyle(document.querySelector('nav')).display") == "none"


def test_a_sort_click_reacts_at_once(page):
    """Until the table has its new order and the page its layout, with all parts open."""
    page.run("document.querySelectorAll('details').forEach(part => { part.open = true; })")
    milliseconds = page.run("""
    (() => {
      document.body.offsetHeight;
      const start = performance.now();
      document.querySelector("#labels-1 th:nth-child(2) button").click();
      document.body.offsetHeight;
      return performance.now() - start;
    })()""")
    assert milliseconds < 200
