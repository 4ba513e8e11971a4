"""The page in a real browser: forms, explanations, the keyboard, two pipelines, a token, narrow screens."""

import asyncio
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
import uvicorn
from browser import open_url
from every_form import TEXTS, every_form, make_gold

from spacy_mtl.calibration.calibrate import calibrate
from spacy_mtl.calibration.calibration_settings import CalibrationSettings
from spacy_mtl.serving.api import make_app
from spacy_mtl.serving.limits import Limits
from spacy_mtl.serving.served_pipeline import ServedPipeline

EVIL = "Paul <img src=x onerror=alert(1)> </script><b>founded</b> Acme &amp; \u202e in Berlin 😀"


@pytest.fixture(scope="module")
def served():
    """A pipeline that has learned its sentences, and one that has not."""
    return [ServedPipeline(every_form(), "a/model"), ServedPipeline(every_form(steps=1), "b/<b>model</b>")]


@contextmanager
def address_of(pipelines, **settings):
    """A server in a thread of this process."""
    with ThreadPoolExecutor(1) as executor:
        app = make_app(pipelines, executor, limits=Limits(), **settings)
        server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error", ws="none"))
        started = threading.Event()

        async def serve():
            task = asyncio.create_task(server.serve())
            while not server.started:
                await asyncio.sleep(0.01)
            started.set()
            await task

        thread = threading.Thread(target=lambda: asyncio.run(serve()))
        thread.start()
        assert started.wait(timeout=30)
        try:
            yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}/"
        finally:
            server.should_exit = True
            thread.join(timeout=30)


@pytest.fixture(scope="module")
def address(served):
    with address_of(served[:1]) as address:
        yield address


@pytest.fixture
def page(address, tmp_path):
    with open_url(address, tmp_path / "browser") as page:
        page.show(width=1280)
        yield page
        assert page.errors == []


def read(page, text, n_pipelines=1):
    """Type a text and press Enter."""
    page.run("document.getElementById('text').focus()")
    page.run("document.getElementById('text').value = ''")
    page.run("document.getElementById('results').replaceChildren()")
    page.type(text)
    page.press("Enter")
    page.wait_until(f"document.querySelectorAll('.pipeline').length === {n_pipelines}")


def card(name):
    return f"document.querySelector('.card[aria-label=\"{name}\"]')"


def texts_of(page, selector):
    return page.run(f"[...document.querySelectorAll({json.dumps(selector)})].map(node => node.textContent)")


def test_every_form_is_drawn(page):
    read(page, TEXTS[0])
    names = page.run("[...document.querySelectorAll('.card')].map(node => node.ariaLabel)")
    assert names == ["intent", "entities", "spans", "tree", "relations", "mood", "Labels of tokens"]
    assert texts_of(page, "[aria-label=intent] .is-predicted .name") == ["news"]
    widths = page.run(
        "[...document.querySelectorAll('.fill')].map(node => node.offsetWidth / node.parentNode.offsetWidth)"
    )
    assert widths[0] > 0.8
    assert widths[1] < 0.2
    assert texts_of(page, "[aria-label=entities] .found") == ["Anna SchmidtPER", "SiemensORG", "MunichLOC"]
    assert texts_of(page, "[aria-label=tree] .arc text").count("prep") == 2
    assert texts_of(page, "[aria-label=relations] .pair")[0].startswith("Anna Schmidt→ works_for →Siemens")
    page.wait_until(f"{card('relations')}.querySelector('.canvas').cy !== undefined")
    assert page.run(f"{card('relations')}.querySelector('.canvas').cy.edges().length") == 2
    (value,) = texts_of(page, "[aria-label=mood] .cell")
    assert abs(float(value) - 1.5) < 1
    cells = "[...row.cells].map(cell => cell.textContent)"
    rows = page.run(f"[...{card('Labels of tokens')}.querySelectorAll('tbody tr')].map(row => {cells})")
    assert rows[2] == ["works", "VBZ", "work"]
    assert page.run("[...document.querySelectorAll('meter')].every(node => node.value > 0 && node.value <= 1)")
    assert page.run("document.getElementById('status').textContent").startswith("Read 7 tokens (40 characters) in ")


def test_nothing_is_loaded_from_elsewhere(page, address):
    read(page, TEXTS[0])
    loaded = page.run("performance.getEntriesByType('resource').map(entry => entry.name)")
    assert loaded
    assert all(name.startswith(address) for name in loaded)


@pytest.mark.parametrize(
    ("selector", "target"),
    [
        ("[aria-label=intent] .bars button", "news"),
        ("[aria-label=entities] .found", "PER[0:2]"),
        ("[aria-label=tree] .arc[aria-label='works to Schmidt: nsubj']", "nsubj[1:2]"),
        ("[aria-label=relations] .pair", "works_for[0:2:4:5]"),
        ("[aria-label=mood] .cell", "joy"),
        ("[aria-label='Labels of tokens'] tbody tr:nth-child(3) .cell", "VBZ[2]"),
    ],
)
def test_what_was_found_is_explained_on_enter(page, selector, target):
    read(page, TEXTS[0])
    page.run(f"document.querySelector({json.dumps(selector)}).focus()")
    page.press("Enter")
    page.wait_until("document.querySelector('.why figure') !== null")
    assert texts_of(page, ".why code") == [target]
    assert texts_of(page, ".why .explained p:first-of-type mark") == TEXTS[0].split()
    assert page.run("document.querySelectorAll('.is-chosen').length") == 1


def test_another_method(page):
    read(page, TEXTS[0])
    page.run("document.querySelector('[aria-label=intent] .bars button').click()")
    page.wait_until("document.querySelector('.why figure') !== null")
    change = """(() => {
      const select = document.querySelector('.why select');
      select.value = 'METHOD';
      select.dispatchEvent(new Event('change'));
    })()"""
    page.run(change.replace("METHOD", "occlusion"))
    page.wait_until(
        "document.querySelector('.why figure') !== null && document.querySelector('.why select').value === 'occlusion'"
    )
    assert "8 passes" in texts_of(page, ".why figcaption small")[0]


def test_texts_and_labels_are_escaped(page):
    read(page, EVIL)
    assert page.run("document.querySelectorAll('main img, main b:not(.pair b)').length") == 0
    read_back = page.run("JSON.parse(document.querySelector('.raw pre').textContent).text")
    assert read_back == EVIL
    assert "".join(texts_of(page, "[aria-label='Labels of tokens'] th[scope=row]")) == EVIL.replace(" ", "")


def test_an_empty_text_and_one_of_blanks(page):
    for text in ("", "   "):
        page.run(f"document.getElementById('text').value = {json.dumps(text)}")
        page.run("document.getElementById('results').replaceChildren()")
        page.run("document.getElementById('ask').requestSubmit()")
        page.wait_until("document.querySelectorAll('.card').length === 7")
        assert "Nothing was found." in texts_of(page, "[aria-label=entities] .nothing")


def test_the_keyboard(page):
    assert page.run("document.activeElement.id") == "text"
    page.type("play some")
    page.press("Enter")
    page.wait_until("document.querySelectorAll('.card').length === 7")
    assert page.run("document.getElementById('text').value") == "play some"
    reached = set()
    for _ in range(60):
        page.press("Tab")
        if page.run("document.activeElement === document.body"):  # all have been reached
            break
        reached.add(page.run("document.activeElement.closest('.card')?.ariaLabel ?? document.activeElement.id"))
        assert page.run("getComputedStyle(document.activeElement).outlineStyle") != "none"
    assert {"read", "confidence", "intent", "tree", "mood", "Labels of tokens"} <= reached


def test_an_error_is_shown(page):
    page.run("document.getElementById('text').value = 'x'.repeat(20001)")
    page.run("document.getElementById('ask').requestSubmit()")
    page.wait_until("!document.getElementById('error').hidden")
    assert "20,001 characters; at most 20,000 are taken" in page.run("document.getElementById('error').textContent")
    page.errors.clear()  # the browser notes the status 413 itself
    read(page, "play")
    assert page.run("document.getElementById('error').hidden")


def test_two_pipelines_stand_side_by_side(served, tmp_path):
    with address_of(served) as address, open_url(address, tmp_path / "browser") as page:
        page.show(width=1280)
        read(page, TEXTS[0], n_pipelines=2)
        assert texts_of(page, ".pipeline h2") == ["a/model", "b/<b>model</b>"]
        left, right = page.run(
            "[...document.querySelectorAll('.pipeline')].map(node => node.getBoundingClientRect().top)"
        )
        assert left == right
        badges = page.run(
            "[...document.querySelectorAll('.pipeline:first-child .badge')].map(node => node.textContent)"
        )
        assert len(badges) == 6
        assert any(badge.startswith("differs") for badge in badges)
        page.show(width=390)
        assert page.run("document.documentElement.scrollWidth") <= 390
        page.run("document.getElementById('models').value = 'a/model'")
        page.run("document.getElementById('models').dispatchEvent(new Event('change'))")
        page.wait_until("document.querySelectorAll('.pipeline').length === 1")
        assert page.run("document.querySelectorAll('.badge').length") == 0
        assert page.errors == []


def test_results_of_another_text_go_with_an_error(page):
    read(page, TEXTS[0])
    page.run("document.getElementById('text').value = 'x '.repeat(60000)")
    page.run("document.getElementById('read').click()")
    page.wait_until("!document.getElementById('error').hidden")
    assert texts_of(page, "#error") == ["the text has 120,000 characters; at most 20,000 are taken"]
    assert texts_of(page, ".card") == []
    # the console notes the 413 itself
    assert all("413" in error for error in page.errors)
    page.errors.clear()


def test_an_explanation_of_a_calibrated_head_claims_no_other_probability(tmp_path):
    """What is explained is the number before the temperature, and the card has the probability after it."""
    nlp = every_form()
    calibrate(nlp, "multitask", make_gold(nlp) * 8, CalibrationSettings())
    with address_of([ServedPipeline(nlp, "cal")]) as address, open_url(address, tmp_path / "browser") as page:
        page.show(width=1280)
        read(page, TEXTS[0])
        for head, calibrated in (("intent", True), ("mood", False)):
            node = f"document.querySelector('[aria-label={head}] button')"
            page.run(f"{node}.click()")
            page.wait_until(f"document.querySelector('[aria-label={head}] .why figure') !== null")
            (caption,) = texts_of(page, f"[aria-label={head}] .why figcaption")
            assert ("before calibration" in caption) == calibrated
            assert "probability" not in caption
        assert page.errors == []


def test_the_page_asks_for_the_token(served, tmp_path):
    with address_of(served[:1], token="s3cret") as address, open_url(address, tmp_path / "browser") as page:
        page.show(width=1280)
        page.wait_until("document.getElementById('token-dialog').open")
        assert page.run("document.activeElement.id") == "token"
        page.type("wrong")
        page.press("Enter")
        page.wait_until(
            "document.getElementById('token-dialog').open && !document.getElementById('token-error').hidden"
        )
        page.type("s3cret")
        page.press("Enter")
        page.wait_until("document.getElementById('facts').textContent.includes('a/model')")
        read(page, TEXTS[0])
        assert texts_of(page, "[aria-label=entities] .found")
        assert all("401" in error for error in page.errors)


@pytest.mark.parametrize("dark", [False, True])
def test_a_narrow_screen_does_not_scroll_sideways(page, dark):
    page.show(width=390, dark=dark)
    read(page, TEXTS[0])
    page.run("document.querySelector('[aria-label=entities] .found').click()")
    page.wait_until("document.querySelector('.why figure') !== null")
    assert page.run("document.documentElement.scrollWidth") <= 390
    background = page.run("getComputedStyle(document.body).backgroundColor")
    assert background == ("rgb(20, 24, 30)" if dark else "rgb(255, 255, 255)")


def test_the_api_page(address, tmp_path):
    with open_url(f"{address}docs", tmp_path / "browser") as page:
        page.show(width=390)
        assert page.run("document.documentElement.scrollWidth") <= 390
        assert "POST/api/parse" in texts_of(page, "h2")
        assert page.errors == []
