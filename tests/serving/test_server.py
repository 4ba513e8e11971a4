"""The server as a process of its own: it stops by a signal with all requests answered, and bears odd clients."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager

import httpx
import pytest
import spacy
from pipelines import ENCODER, JOINT, make_examples, make_nlp, train
from spacy.language import Language

from spacy_mtl.serving.access import is_local
from spacy_mtl.serving.server import names_of_models

# A component that waits until a file is there.
SLOW = """
import os, time
from spacy.language import Language

@Language.component("serve_test_slow")
def slow(doc):
    while doc.text.startswith("play") and not os.path.exists({path!r}):
        time.sleep(0.01)
    return doc
"""
TEXT = "play some jazz in Berlin"
REQUEST = b"POST /api/parse HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    nlp = make_nlp(JOINT, tok2vec=ENCODER | {"@architectures": "spacy_mtl.HashEmbedCNN.v1"})
    train(nlp, make_examples(nlp), steps=20)
    path = tmp_path_factory.mktemp("models") / "model"
    nlp.to_disk(path)
    return path


@contextmanager
def running(*args):
    """A server on a free port. Yields its process, its address, and its log once it has ended."""
    command = [sys.executable, "-m", "spacy", "mtl", "serve", *map(str, args), "--port", "0"]
    environment = os.environ | {"PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, env=environment)
    log = []
    try:
        for line in process.stderr:
            log.append(line)
            if found := re.search(r"running on http://127\.0\.0\.1:(\d+)", line):
                break
        else:
            raise AssertionError("".join(log))
        reader = threading.Thread(target=lambda: log.extend(process.stderr))
        reader.start()
        yield process, int(found[1]), log
    finally:
        if process.poll() is None:
            process.kill()
        process.wait(timeout=30)
        reader.join(timeout=30)
        process.stderr.close()


def talk(port, data, *, rest=b"", pause=0.0):
    """Send bytes, and read all that comes until the server closes the connection."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(data)
        if rest:
            time.sleep(pause)
            connection.sendall(rest)
        received = b""
        while part := connection.recv(65536):
            received += part
    return received


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_once_all_are_answered(model, tmp_path, number):
    """Twelve clients have sent four texts each when the signal comes, and none of these has been read."""
    (tmp_path / "slow.py").write_text(SLOW.format(path=str(tmp_path / "go")))
    nlp = spacy.load(model)
    Language.component("serve_test_slow", func=lambda doc: doc)
    nlp.add_pipe("serve_test_slow")
    nlp.to_disk(tmp_path / "slow")
    options = ("--code", tmp_path / "slow.py", "--batch-size", 4, "--timeout", 120)
    with running(tmp_path / "slow", *options) as (process, port, log):
        answers = []

        def send():
            answer = httpx.post(f"http://127.0.0.1:{port}/api/parse", json={"texts": [TEXT] * 4}, timeout=120)
            answers.append((answer.status_code, len(answer.json()["docs"])))

        clients = [threading.Thread(target=send) for _ in range(12)]
        for one in clients:
            one.start()
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
            end = time.monotonic() + 60
            while "\nspacy_mtl_requests_in_progress 13\n" not in client.get("/metrics").text:
                assert time.monotonic() < end
                time.sleep(0.05)
        process.send_signal(number)
        time.sleep(0.3)
        assert (process.poll(), answers) == (None, [])
        (tmp_path / "go").touch()
        for one in clients:
            one.join(timeout=60)
        assert process.wait(timeout=60) == 0
    assert answers == [(200, 4)] * 12
    assert "Traceback" not in "".join(log)


def test_odd_clients(model):
    """Whatever they send, the server goes on, and its log has no traceback."""
    with running(model, "--timeout", 1, "--max-body", 2000) as (process, port, log):
        body = json.dumps({"texts": [TEXT]}).encode()
        closing = REQUEST.replace(b"Host", b"Connection: close\r\nHost")
        assert b"200 OK" in talk(port, closing % len(body) + body)
        assert b"200 OK" in talk(port, closing % len(body), rest=body, pause=0.3)
        slow = talk(port, REQUEST % len(body) + body[:5])
        assert slow.startswith(b"HTTP/1.1 408")
        assert json.loads(slow.partition(b"\r\n\r\n")[2])["status"] == 408
        slow = talk(port, b"POST /api/parse HTTP/1.1\r\nHost: local")
        assert slow.startswith(b"HTTP/1.1 408")
        assert json.loads(slow.partition(b"\r\n\r\n")[2])["status"] == 408
        assert talk(port, b"").startswith(b"HTTP/1.1 408")  # it never says anything
        assert talk(port, bytes(range(256)) * 4).startswith(b"HTTP/1.1 400")
        assert talk(port, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500)).startswith(b"HTTP/1.1 400")
        huge = httpx.post(
            f"http://127.0.0.1:{port}/api/parse",
            content=bytes(20_000_000),
            headers={"Content-Type": "application/json"},
            timeout=30,
        )
        assert huge.status_code == 413
        with socket.create_connection(("127.0.0.1", port)) as connection:  # gone before its body is complete
            connection.sendall(REQUEST % len(body) + body[:5])
        long = talk(port, b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\n\r\n")
        assert long.startswith(b"HTTP/1.1 4")
        found = httpx.get(f"http://127.0.0.1:{port}/metrics").text
        assert 'requests_total{path="/api/parse",status="200"} 2' in found
        assert 'requests_total{path="/api/parse",status="408"} 1' in found
        assert 'requests_total{path="/api/parse",status="413"} 1' in found
        process.terminate()
        assert process.wait(timeout=30) == 0
    assert "Traceback" not in "".join(log)


def test_slow_heads_do_not_end_connections_that_are_kept_open(model):
    with running(model, "--timeout", 1) as (_, port, _), httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:
        for pause in (0.0, 0.6, 1.4, 0.0):
            time.sleep(pause)
            assert client.post("/api/parse", json={"texts": [TEXT]}).status_code == 200


def test_names_of_models(tmp_path):
    for name in ("a/model-best", "b/model-best", "b/model-last"):
        (tmp_path / name).mkdir(parents=True)
    best, other, last = (str(tmp_path / name) for name in ("a/model-best", "b/model-best", "b/model-last"))
    assert names_of_models([best]) == ["a/model-best"]
    assert names_of_models([best, other]) == ["a/model-best", "b/model-best"]
    assert names_of_models([other, last]) == ["b/model-best", "b/model-last"]
    assert names_of_models(["en_package", best]) == ["en_package", "a/model-best"]
    with pytest.raises(ValueError, match="name two different ones"):
        names_of_models([best, f"{best}/."])


def test_what_is_local():
    assert all(map(is_local, ("127.0.0.1", "localhost", "::1", "127.0.0.2")))
    assert not any(map(is_local, ("0.0.0.0", "::", "192.168.1.5", "nlp.example.org")))
