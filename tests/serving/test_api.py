"""The API, asked by an HTTP client: answers, batches, limits, and what it refuses."""

import asyncio
import json
import logging
import random
import re
import threading

import pytest
from every_form import TEXTS as KINDS
from every_form import every_form
from pipelines import ENCODER, JOINT, make_examples, make_nlp, train
from served import ask, post
from spacy.language import Language

import spacy_mtl
from spacy_mtl.serving.access import names_of
from spacy_mtl.serving.deadline import Deadline
from spacy_mtl.serving.limits import Limits
from spacy_mtl.serving.refusal import Refusal, too_busy
from spacy_mtl.serving.served_pipeline import ServedPipeline

TEXTS = [
    "play some jazz in Berlin",
    "who is Anna Schmidt",
    "where is Berlin 😀, Anna?",
    "",
    "  ",
    "play\n\n<b>Anna</b> & more",
    "a\x00b",
    "ein längerer Satz mit Umlauten äöü",
]
SOUNDS = "an error with secrets"


@Language.component("serve_test_fail")
def fail_on_secrets(doc):
    if doc.text == SOUNDS:
        raise ValueError("the password is swordfish")
    return doc


@pytest.fixture(scope="module")
def nlp():
    nlp = make_nlp(JOINT, tok2vec=ENCODER | {"@architectures": "spacy_mtl.HashEmbedCNN.v1"})
    train(nlp, make_examples(nlp), steps=30)
    return nlp


@pytest.fixture(scope="module")
def served(nlp):
    return [ServedPipeline(nlp, "joint")]


def expected_of(nlp, text):
    """What the answer to a text must be, without numbers."""
    doc = nlp(text)
    return {
        "text": text,
        "tokens": [{"text": token.text, "start": token.idx, "end": token.idx + len(token)} for token in doc],
        "intent": max(doc.cats, key=doc.cats.get),
        "spans": [{"label": ent.label_, "start": ent.start, "end": ent.end} for ent in doc.ents],
        "cats": doc.cats,
    }


def check_answer(answer, expected):
    assert {key: answer[key] for key in ("text", "tokens")} == {key: expected[key] for key in ("text", "tokens")}
    assert answer["heads"]["intent"]["predicted"] == [expected["intent"]]
    assert answer["heads"]["intent"]["scores"] == pytest.approx(expected["cats"], abs=1e-5)
    assert answer["heads"]["slots"] == {"form": "spans", "spans": expected["spans"]}


def test_answers_are_those_of_the_pipeline(nlp, served):
    answer = post(served, "/api/parse", {"texts": TEXTS})
    assert answer.status_code == 200
    assert answer.json()["model"] == "joint"
    docs = answer.json()["docs"]
    assert len(docs) == len(TEXTS)
    for doc, text in zip(docs, TEXTS, strict=True):
        check_answer(doc, expected_of(nlp, text))


def test_no_texts_have_no_answers(served):
    assert post(served, "/api/parse", {"texts": []}).json() == {"model": "joint", "docs": []}


def test_eight_clients_get_their_own_answers_from_common_batches(nlp, served):
    expected = {text: expected_of(nlp, text) for text in TEXTS}

    async def talk(client):
        async def send(number):
            rng = random.Random(number)
            for _ in range(25):
                texts = rng.choices(TEXTS, k=rng.randint(1, 5))
                answer = await client.post("/api/parse", json={"texts": texts})
                assert answer.status_code == 200
                for doc, text in zip(answer.json()["docs"], texts, strict=True):
                    check_answer(doc, expected[text])

        await asyncio.gather(*map(send, range(8)))
        return (await client.get("/metrics")).text

    metrics = ask(served, talk, limits=Limits(batch_size=16))
    n_docs, n_batches = (
        int(re.search(rf'^spacy_mtl_{name}_total{{pipeline="joint"}} (\d+)$', metrics, re.MULTILINE)[1])
        for name in ("docs", "batches")
    )
    assert 3 * n_batches < n_docs <= 16 * n_batches
    assert 'requests_total{path="/api/parse",status="200"} 200' in metrics


def test_a_request_larger_than_a_batch_is_read_in_several(nlp, served):
    texts = random.Random(0).choices(TEXTS, k=20)
    answer = post(served, "/api/parse", {"texts": texts}, limits=Limits(batch_size=3))
    for doc, text in zip(answer.json()["docs"], texts, strict=True):
        check_answer(doc, expected_of(nlp, text))


def test_confidence_is_that_of_the_heads(nlp, served):
    answer = post(served, "/api/parse", {"texts": TEXTS, "confidence": True})
    expected = nlp.get_pipe("multitask").confidences(list(nlp.pipe(TEXTS)))
    for name in ("intent", "slots"):
        found = [doc["heads"][name]["confidence"] for doc in answer.json()["docs"]]
        assert found == pytest.approx(expected[name].tolist(), abs=1e-5)


def test_an_explanation_is_that_of_the_library(nlp, served):
    answer = post(served, "/api/explain", {"text": TEXTS[0], "head": "slots", "target": "LOC[4:5]"}).json()
    expected = spacy_mtl.explain(nlp, TEXTS[0], "slots", target="LOC[4:5]")
    assert answer["targets"] == spacy_mtl.explain_targets(nlp, TEXTS[0])["slots"]
    assert answer["explanation"]["target"] == "LOC[4:5]"
    assert answer["explanation"]["tokens"] == list(expected.tokens)
    assert answer["explanation"]["scores"] == pytest.approx(expected.scores, abs=1e-5)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"text": "play", "head": "mood"}, "there is no head 'mood'; the heads are ['intent', 'slots']"),
        ({"text": "play", "head": "intent", "target": "sing"}, "head 'intent': there is no target 'sing'"),
        ({"text": "play", "head": "intent", "method": "magic"}, "method is 'magic', expected one of"),
        ({"text": "play", "head": "intent", "method": "attention"}, "it does not pool by attention"),
        ({"text": "", "head": "intent"}, "the doc is empty"),
        ({"text": "x" * 2001, "head": "intent"}, "at most 2,000 are explained"),
        ({"text": "play", "head": "intent", "model": "other"}, "there is no pipeline 'other'; there are ['joint']"),
        ({"text": "play"}, "head: Field required"),
    ],
)
def test_what_cannot_be_explained_is_named(served, body, message):
    answer = post(served, "/api/explain", body)
    assert answer.status_code == 422
    assert answer.json()["error"] in ("Unprocessable Entity", "Unprocessable Content")
    assert message in answer.json()["message"]


@pytest.fixture(scope="module")
def every_kind():
    return [ServedPipeline(every_form(steps=2), "all")]


WRONG_TARGETS = {
    "intent": ["sing", "news[0]"],
    "entities": ["PER[1:0]", "PER[0:9]", "DATE[0:1]"],
    "spans": ["CLAUSE[0:0]", "CLAUSE[7:8]"],
    "tag": ["NNP[7]", "JJ[0]", f"NNP[{'9' * 5000}]"],
    "lemma": ["sang → sing[0]", "anna → anna[9]"],
    "tree": ["nsubj[0:7]", "nsubj[0]", "nsubj[0:1:2]", "subj[0:1]"],
    "relations": ["works_for[0:2:4:9]", "works_for[0:0:4:5]", "works_for[0:2]", "lives_in[0:2:4:5]"],
    "mood": ["anger", "joy[0]"],
}


def test_a_wrong_target_of_any_head_is_the_fault_of_the_client(every_kind):
    """Also of those that work on what others found: 422, and a message that names the head."""
    assert WRONG_TARGETS.keys() == every_kind[0].heads.keys()

    async def talk(client):
        return {
            (head, target): await client.post("/api/explain", json={"text": KINDS[0], "head": head, "target": target})
            for head, targets in WRONG_TARGETS.items()
            for target in targets
        }

    for (head, target), answer in ask(every_kind, talk).items():
        assert answer.status_code == 422, (head, target[:40], answer.text)
        assert answer.json()["message"].startswith(f"head '{head}': ")


def test_a_fault_of_a_head_is_not_the_clients(every_kind, monkeypatch, caplog):
    def fail(*args):
        raise ValueError("the password is swordfish")

    monkeypatch.setattr(type(every_kind[0].heads["tree"].head), "find_target", fail)
    with caplog.at_level(logging.ERROR, logger="spacy_mtl.serving"):
        answer = post(every_kind, "/api/explain", {"text": KINDS[0], "head": "tree", "target": "det[0:1]"})
    assert answer.status_code == 500
    assert "swordfish" not in answer.text
    assert "swordfish" in caplog.text


def test_pipelines_are_described(served):
    found = ask(served, lambda client: client.get("/api/models")).json()
    (model,) = found["models"]
    assert model["name"] == "joint"
    assert model["heads"]["intent"] == {
        "explains": True,
        "labels": ["ask", "play"],
        "calibrated": False,
        "coverage": None,
    }
    assert found["methods"][0] == "integrated_gradients"
    assert found["limits"] == {"texts": 256, "characters": 20_000}


def test_two_pipelines_are_chosen_by_name(nlp, served):
    other = make_nlp(JOINT)
    two = [*served, ServedPipeline(other, "other")]
    for name, own in ((None, nlp), ("joint", nlp), ("other", other)):
        answer = post(two, "/api/parse", {"texts": [TEXTS[0]], "model": name})
        assert answer.json()["model"] == name or name is None
        scores = answer.json()["docs"][0]["heads"]["intent"]["scores"]
        assert scores == pytest.approx(own(TEXTS[0]).cats, abs=1e-5)
    assert post(two, "/api/parse", {"texts": ["a"], "model": "third"}).status_code == 422


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        (b'{"texts": ["a"', 400, "the body is not JSON"),
        (b"", 400, "the body is not JSON: EOF while parsing a value at line 1 column 0"),
        (b"[]", 422, "the body: Input should be an object"),
        (b'"a"', 422, "the body: Input should be an object"),
        (b'{"texts": "a"}', 422, "texts: Input should be a valid array"),
        (b'{"texts": ["a", 1]}', 422, "texts.1: Input should be a valid string"),
        (b'{"texts": ["a"], "lang": "en"}', 422, "lang: Extra inputs are not permitted"),
        (b'{"texts": ["a \\ud800"]}', 400, "hex escape"),
        (b'{"texts": ["a"], "model": "b"}', 422, "there is no pipeline 'b'"),
        (bytes(range(256)), 400, ""),
        (b"\xff\xfe{\x00}\x00", 400, "the body is not JSON"),  # UTF-16
        (b"[" * 100_000, 400, ""),
        (b'{"texts": [NaN]}', 422, "texts.0"),
    ],
)
def test_what_is_malformed_is_refused(served, body, status, message):
    async def talk(client):
        return await client.post("/api/parse", content=body, headers={"Content-Type": "application/json"})

    answer = ask(served, talk)
    assert answer.status_code == status
    assert answer.json()["status"] == status
    assert message in answer.json()["message"]
    assert len(answer.content) < 1000


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", None])
def test_other_types_are_refused(served, kind):
    """A page of another origin can send these without asking first."""

    async def talk(client):
        headers = {} if kind is None else {"Content-Type": kind}
        return await client.post("/api/parse", content=b'{"texts": ["a"]}', headers=headers)

    answer = ask(served, talk)
    assert answer.status_code == 415
    assert "expected 'application/json'" in answer.json()["message"]


def test_no_origin_is_let_in(served):
    async def talk(client):
        asked = await client.options(
            "/api/parse", headers={"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
        )
        return asked, await client.post("/api/parse", json={"texts": ["a"]}, headers={"Origin": "https://evil.example"})

    asked, sent = ask(served, talk)
    assert asked.status_code == 405
    assert not [name for name in (*asked.headers, *sent.headers) if name.startswith("access-control")]


def test_other_names_are_refused(served):
    """DNS rebinding: a page that gives its own name the address of this machine."""

    async def talk(client):
        return [
            (await client.get("/health", headers={"Host": name})).status_code
            for name in ("localhost:8000", "127.0.0.1", "[::1]:80", "nlp.example.org", "evil.example", "")
        ]

    found = ask(served, talk, names=names_of("127.0.0.1", ["NLP.example.org"]))
    assert found == [200, 200, 200, 200, 421, 421]
    assert ask(served, talk, names=names_of("0.0.0.0", [])) == [200] * 6
    assert ask(served, talk, names=names_of("0.0.0.0", ["nlp.example.org"])) == [421, 421, 421, 200, 421, 421]


def test_a_token_is_needed(served):
    async def talk(client):
        async def status(path, given):
            headers = {} if given is None else {"Authorization": given}
            return (await client.get(path, headers=headers)).status_code

        given = (None, "", "Bearer", "Bearer wrong", "Basic s3cret", "Bearer s3cret", "bearer s3cret")
        found = [await status("/api/models", one) for one in given]
        refused = await client.get("/metrics")
        pages = [await status(path, None) for path in ("/", "/health", "/docs", "/openapi.json", "/static/serve.js")]
        return found, refused, pages

    found, refused, pages = ask(served, talk, token="s3cret")
    assert found == [401, 401, 401, 401, 401, 200, 200]
    assert refused.status_code == 401
    assert refused.headers["www-authenticate"] == "Bearer"
    assert pages == [200] * 5


def test_pages_hold_nothing_of_the_pipeline(served):
    """They are open where the API needs a token."""

    async def talk(client):
        return [(await client.get(path)).text for path in ("/", "/docs", "/openapi.json")]

    for page in ask(served, talk, token="s3cret"):
        assert "s3cret" not in page
        assert "intent" not in page.replace('"intent"', "").replace("&#34;intent&#34;", "")


def test_large_bodies_are_refused(served):
    limits = Limits(max_body=1000)

    async def talk(client):
        async def chunks():
            for _ in range(100):
                yield b"x" * 100

        headers = {"Content-Type": "application/json"}
        return [
            await client.post("/api/parse", content=b"x" * 1001, headers=headers),
            await client.post("/api/parse", content=chunks(), headers=headers),
            await client.post("/api/parse", json={"texts": ["a" * 900]}),
        ]

    large, long, fitting = ask(served, talk, limits=limits)
    for answer in (large, long):
        assert answer.status_code == 413
        assert answer.json()["message"] == "the body has more than 1,000 bytes; send fewer texts in a request"
    assert fitting.status_code == 200


def test_many_or_long_texts_are_refused(served):
    limits = Limits(max_texts=3, max_characters=10)
    many = post(served, "/api/parse", {"texts": ["a"] * 4}, limits=limits)
    long = post(served, "/api/parse", {"texts": ["a", "b" * 11]}, limits=limits)
    assert (many.status_code, long.status_code) == (413, 413)
    assert many.json()["message"] == "the request has 4 texts; at most 3 are taken"
    assert long.json()["message"] == "text 1 has 11 characters; at most 10 are taken"
    assert post(served, "/api/parse", {"texts": ["a"] * 3}, limits=limits).status_code == 200


def test_a_slow_body_is_refused(served):
    async def talk(client):
        async def body():
            yield b'{"texts":'
            await asyncio.sleep(5)
            yield b'["a"]}'

        return await client.post("/api/parse", content=body(), headers={"Content-Type": "application/json"})

    answer = ask(served, talk, limits=Limits(timeout=0.3))
    assert answer.status_code == 408
    assert answer.json()["message"] == "the body was not complete after 0.3 seconds"
    assert answer.headers["connection"] == "close"


def test_a_busy_server_says_so(served):
    """While the thread of the pipelines is busy, requests wait up to the limits."""
    gate = threading.Event()

    async def talk(client):
        client.executor.submit(gate.wait, 20)
        late = await client.post("/api/parse", json={"texts": ["a"]})  # it is in the batch that can't be read
        waiting = [asyncio.create_task(client.post("/api/parse", json={"texts": ["a"] * 4})) for _ in range(3)]
        await asyncio.sleep(0.1)
        full = await client.post("/api/parse", json={"texts": ["a"]})
        health = await client.get("/health")
        gate.set()
        return late, full, health, await asyncio.gather(*waiting), await client.get("/metrics")

    limits = Limits(timeout=0.5, max_queue=8, max_texts=4, batch_size=2)
    late, full, health, waiting, metrics = ask(served, talk, limits=limits)
    assert late.status_code == 503
    assert "not ready after 0.5 seconds" in late.json()["message"]
    assert full.status_code == 503
    assert "8 texts wait already, of at most 8" in full.json()["message"]
    assert full.headers["retry-after"] == "1"
    assert health.json() == {"status": "ok"}
    assert [answer.status_code for answer in waiting] == [200, 200, 503]
    assert "\nspacy_mtl_errors_total 3\n" in metrics.text


def test_requests_in_progress_are_limited(served):
    gate = threading.Event()

    async def talk(client):
        client.executor.submit(gate.wait, 20)
        waiting = [asyncio.create_task(client.post("/api/parse", json={"texts": ["a"]})) for _ in range(2)]
        await asyncio.sleep(0.1)
        refused = await client.get("/api/models")
        health = await client.get("/health")
        gate.set()
        return refused, health, await asyncio.gather(*waiting)

    refused, health, waiting = ask(served, talk, limits=Limits(max_requests=2))
    assert refused.status_code == 503
    assert refused.json()["message"] == "2 requests are in progress already; try again later"
    assert health.status_code == 200
    assert [answer.status_code for answer in waiting] == [200, 200]


def test_a_failure_shows_nothing_and_stays_alone(nlp, caplog):
    """The text that fails is in a batch with others, which are answered."""
    nlp = make_nlp(JOINT)
    nlp.add_pipe("serve_test_fail", last=True)
    served = [ServedPipeline(nlp, "joint")]

    async def talk(client):
        texts = [["play"], [SOUNDS], ["who", "is", "Anna"]]
        return await asyncio.gather(*(client.post("/api/parse", json={"texts": one}) for one in texts))

    with caplog.at_level(logging.ERROR, logger="spacy_mtl.serving"):
        answers = ask(served, talk, limits=Limits(batch_delay=0.2))
    assert [answer.status_code for answer in answers] == [200, 500, 200]
    message = answers[1].json()["message"]
    assert not re.search("swordfish|secrets|Traceback|File|line", message)
    number = re.search(r"under the number ([0-9a-f]{12})$", message)[1]
    assert f"Request {number}: POST '/api/parse' failed" in caplog.text
    assert "swordfish" in caplog.text


def test_a_failure_of_an_explanation_shows_nothing(caplog):
    """A ValueError of the inside is not one of what was asked."""
    nlp = make_nlp(JOINT)
    nlp.add_pipe("serve_test_fail", first=True)
    served = [ServedPipeline(nlp, "joint")]
    with caplog.at_level(logging.ERROR, logger="spacy_mtl.serving"):
        answer = post(served, "/api/explain", {"text": SOUNDS, "head": "intent"})
    assert answer.status_code == 500
    assert "swordfish" not in answer.text
    assert "swordfish" in caplog.text
    assert post(served, "/api/explain", {"text": "play", "head": "intent", "method": "occlusion"}).status_code == 200


def test_a_deadline_that_is_over_leaves_the_task_as_it_was():
    """As `asyncio.timeout`: a second cancellation, by someone else, is not swallowed."""

    async def late():
        with Deadline(0.01, lambda: too_busy("late")):
            await asyncio.sleep(5)

    async def cancelled():
        task = asyncio.ensure_future(late())
        await asyncio.sleep(0)
        task.cancel()
        return await asyncio.gather(task, return_exceptions=True)

    async def in_time():
        with Deadline(0.05, lambda: too_busy("late")):
            await asyncio.sleep(0)
        await asyncio.sleep(0.1)
        return "done"

    with pytest.raises(Refusal, match="late"):
        asyncio.run(late())
    (found,) = asyncio.run(cancelled())
    assert isinstance(found, asyncio.CancelledError)
    assert asyncio.run(in_time()) == "done"


def test_paths_and_methods_that_do_not_exist(served):
    async def talk(client):
        return [
            await client.get("/nothing"),
            await client.get("/static/../setup.cfg"),
            await client.get("/static/report.js"),
            await client.get("/api/parse"),
            await client.put("/health"),
            await client.get("/metrics"),
        ]

    *refused, metrics = ask(served, talk)
    assert [answer.status_code for answer in refused] == [404, 404, 404, 405, 405]
    assert all(answer.json()["status"] == answer.status_code for answer in refused)
    assert 'requests_total{path="other",status="404"} 3' in metrics.text


def test_metrics_are_in_the_format_of_prometheus(served):
    async def talk(client):
        await client.post("/api/parse", json={"texts": ["a", "b"]})
        await client.post("/api/parse", json={"texts": 1})
        return await client.get("/metrics")

    answer = ask([ServedPipeline(served[0].nlp, 'a "b"\\c')], talk)
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    lines = answer.text.splitlines()
    line = re.compile(r'[a-z_]+(\{([a-z]+="([^"\\]|\\["\\n])*",?)+\})? [0-9.]+')
    assert all(one.startswith(("# HELP spacy_mtl_", "# TYPE spacy_mtl_")) or line.fullmatch(one) for one in lines)
    assert 'spacy_mtl_docs_total{pipeline="a \\"b\\"\\\\c"} 2' in lines
    assert 'spacy_mtl_request_seconds_count{path="/api/parse"} 2' in lines
    counts = [
        int(one.rsplit(" ")[-1])
        for one in lines
        if one.startswith('spacy_mtl_request_seconds_bucket{path="/api/parse"')
    ]
    assert counts == sorted(counts)
    assert counts[-1] == 2


def test_the_api_is_described(served):
    async def talk(client):
        return (await client.get("/openapi.json")).json(), (await client.get("/docs")).text

    schema, page = ask(served, talk)
    assert set(schema["paths"]) == {"/api/parse", "/api/explain", "/api/models", "/health", "/metrics"}
    assert {"200", "400", "401", "408", "413", "415", "422", "500", "503"} == set(
        schema["paths"]["/api/parse"]["post"]["responses"]
    )
    example = re.search(r"curl http://127.0.0.1:8000/api/parse .*?-d &#39;(.*?)&#39;|-d '(.*?)'", page, re.DOTALL)
    assert example
    assert not re.search(r"(src|href)=\"https?:", page)


def test_the_example_of_the_api_page_is_answered(served):
    async def talk(client):
        page = (await client.get("/docs")).text
        (example,) = re.findall(r"-d &#39;(\{.*?texts.*?\})&#39;|-d '(\{.*?texts.*?\})'", page)
        body = next(filter(None, example)).replace("&#34;", '"')
        return await client.post("/api/parse", json=json.loads(body))

    assert ask(served, talk).status_code == 200


def test_answers_tell_the_browser_to_be_careful(served):
    answer = ask(served, lambda client: client.get("/"))
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self';" in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert not re.search(r"(src|href)=\"https?:", answer.text)


def test_limits_must_fit_together():
    with pytest.raises(ValueError, match="a request may have 10 texts, but only 5 texts may wait"):
        Limits(max_texts=10, max_queue=5)
