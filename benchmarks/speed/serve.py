"""Load on mtl serve: python benchmarks/speed/serve.py MODEL --data test.spacy [--requests 10000 --texts 32]

The server is a process of its own, and so are the clients, which send requests of several texts over HTTP, each on a
connection that stays open. Every answer is compared with what `nlp(text)` gives: labels and places must be equal,
probabilities within 0.0001. Before and after, a process without a server reads the same texts by `nlp.pipe`, with
batches of the server's size. Printed are requests, errors, wrong answers, the time of a request, docs a second beside
those of `nlp.pipe`, the CPU time of a doc, which other programs change less, and the memory of the server (RSS).
"""

import argparse
import http.client
import json
import os
import random
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import spacy
import srsly
from spacy.language import Language
from spacy.tokens import DocBin
from speed_options import REQUIRED, make_parser
from wasabi import msg

from spacy_mtl.serving.served_pipeline import ServedPipeline, TextToRead

HOST = "127.0.0.1"
TOLERANCE = 1e-4
SECONDS_TO_START = 120.0


def read_texts(nlp: Language, path: Path, docs: int) -> list[str]:
    texts = list(dict.fromkeys(doc.text for doc in DocBin().from_disk(path).get_docs(nlp.vocab)))
    return texts[:docs]


def expected_answers(model: str, texts: list[str]) -> dict[str, Any]:
    """What the server must answer to each text: its own way to write down a doc, of the doc that `nlp(text)` gives."""
    pipeline = ServedPipeline(spacy.load(model), "model")
    return {text: json.loads(read_alone(pipeline, text)) for text in texts}


def read_alone(pipeline: ServedPipeline, text: str) -> bytes:
    (found,) = pipeline.read([TextToRead(text)])
    assert isinstance(found, bytes)
    return found


def is_same(found: Any, expected: Any) -> bool:
    """Whether two answers are equal but for the last digits of numbers, which depend on the batch."""
    if found == expected:
        return True
    if isinstance(expected, float) and isinstance(found, int | float):
        return abs(found - expected) <= TOLERANCE
    if isinstance(expected, dict):
        return found.keys() == expected.keys() and all(is_same(found[key], value) for key, value in expected.items())
    if isinstance(expected, list):
        return len(found) == len(expected) and all(map(is_same, found, expected))
    return False


def memory_of(pid: int) -> float:
    """RSS of a process in MiB."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS"))


def cpu_seconds(pid: int) -> float:
    """CPU time of a process, in itself and in the system."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Load:
    """The clients. They share a counter of requests."""

    def __init__(self, args: argparse.Namespace, texts: list[str], expected: dict[str, Any]) -> None:
        self.args, self.texts, self.expected = args, texts, expected
        self.numbers = count()
        self.errors: list[str] = []
        self.wrong: list[str] = []
        self.seconds: list[float] = []
        self.memory: dict[int, float] = {}

    def run(self) -> float:
        """Send all requests. RETURNS: the seconds that it took."""
        start = time.perf_counter()
        threads = [threading.Thread(target=self.send_requests) for _ in range(self.args.clients)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return time.perf_counter() - start

    def send_requests(self) -> None:
        """Send requests on one connection as long as there are any."""
        connection = http.client.HTTPConnection(HOST, self.args.port, timeout=120)
        while (number := next(self.numbers)) < self.args.requests:
            if number % max(1, self.args.requests // 8) == 0:
                self.memory[number] = memory_of(self.args.server)
            texts = random.Random(number).choices(self.texts, k=self.args.texts)
            body = json.dumps({"texts": texts})
            start = time.perf_counter()
            try:
                connection.request("POST", "/api/parse", body, {"Content-Type": "application/json"})
                answer = connection.getresponse()
                data = answer.read()
                if answer.status != 200:
                    raise ValueError(f"{answer.status} {data[:200]!r}")
            except (OSError, ValueError, http.client.HTTPException) as error:
                self.errors.append(str(error))
                connection.close()
                continue
            self.seconds.append(time.perf_counter() - start)
            docs = json.loads(data)["docs"]
            if len(docs) != len(texts):
                self.wrong.append(f"{len(docs)} answers to {len(texts)} texts")
            pairs = zip(texts, docs, strict=False)
            self.wrong += [text for text, doc in pairs if not is_same(doc, self.expected[text])]


def send_load(args: argparse.Namespace) -> dict[str, Any]:
    """The process of the clients."""
    load = Load(args, *srsly.read_json(args.work / "texts.json"))
    before = cpu_seconds(args.server)
    seconds = load.run()
    cpu = cpu_seconds(args.server) - before
    load.memory[args.requests] = memory_of(args.server)
    times = sorted(load.seconds) or [0.0]
    return {
        "seconds": seconds,
        "cpu": cpu,
        "errors": load.errors,
        "wrong": load.wrong,
        "median": statistics.median(times),
        "p99": times[int(0.99 * (len(times) - 1))],
        "memory": load.memory,
    }


def read_by_pipe(args: argparse.Namespace) -> tuple[float, float]:
    """The process without a server. RETURNS: docs a second, and CPU seconds a doc, of the texts that clients send."""
    nlp = spacy.load(args.model)
    texts, _ = srsly.read_json(args.work / "texts.json")
    n_requests = min(args.requests, args.pipe_requests)
    sent = [text for number in range(n_requests) for text in random.Random(number).choices(texts, k=args.texts)]
    for _ in nlp.pipe(texts, batch_size=args.batch_size):
        pass
    start, cpu = time.perf_counter(), time.process_time()
    for _ in nlp.pipe(sent, batch_size=args.batch_size):
        pass
    return len(sent) / (time.perf_counter() - start), (time.process_time() - cpu) / len(sent)


def run_part(args: argparse.Namespace, part: str, **more: Any) -> Any:
    """Run this script as another process, and read what it prints."""
    names = ("data", "requests", "clients", "texts", "batch_size", "pipe_requests", "work", "port", "server")
    values = vars(args) | more
    options = [word for name in names for word in (f"--{name.replace('_', '-')}", str(values[name]))]
    command = [sys.executable, __file__, args.model, *options, "--part", part]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()[-1])


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def start_server(args: argparse.Namespace, port: int) -> subprocess.Popen[bytes]:
    options = ["--port", str(port), "--batch-size", str(args.batch_size), "--max-texts", str(max(args.texts, 256))]
    process = subprocess.Popen([sys.executable, "-m", "spacy", "mtl", "serve", args.model, *options])
    end = time.monotonic() + SECONDS_TO_START
    while time.monotonic() < end and process.poll() is None:
        try:
            connection = http.client.HTTPConnection(HOST, port, timeout=5)
            connection.request("GET", "/health")
            if connection.getresponse().status == 200:
                return process
        except OSError:
            time.sleep(0.2)
    process.kill()
    raise SystemExit("the server did not start")


def report(args: argparse.Namespace, found: dict[str, Any], runs: list[list[float]], memory: float, code: int) -> None:
    n_docs = args.requests * args.texts
    pipe = [rate for rate, _ in runs]
    rate, by_pipe = n_docs / found["seconds"], statistics.mean(pipe)
    cpu, cpu_of_pipe = found["cpu"] / n_docs, statistics.mean(seconds for _, seconds in runs)
    rows: Iterator[tuple[str, str]] = iter(
        [
            ("requests", f"{args.requests:,} of {args.texts} texts, {args.clients} clients"),
            ("errors", f"{len(found['errors']):,}"),
            ("wrong answers", f"{len(found['wrong']):,} of {n_docs:,}"),
            (
                "time of a request",
                f"median {1000 * found['median']:.0f} ms, 99 % {1000 * found['p99']:.0f} ms",
            ),
            ("docs a second", f"{rate:,.0f}"),
            ("nlp.pipe", f"{by_pipe:,.0f} ({pipe[0]:,.0f} before, {pipe[1]:,.0f} after), batches of {args.batch_size}"),
            ("share of nlp.pipe", f"{rate / by_pipe:.2f}"),
            ("CPU time of a doc", f"{1e6 * cpu:.0f} µs, nlp.pipe {1e6 * cpu_of_pipe:.0f} µs"),
            ("memory at the start", f"{memory:.0f} MiB"),
            *((f"  after {int(number):,}", f"{value:.0f} MiB") for number, value in found["memory"].items()),
            ("exit code on SIGTERM", str(code)),
        ]
    )
    msg.table(list(rows), divider=True, header=("", ""))
    for title in ("errors", "wrong"):
        for one in found[title][:5]:
            msg.warn(title, one)


def main() -> None:
    parser = make_parser(__doc__, data=REQUIRED, docs=2000, batch_size=64)
    parser.add_argument("model", help="trained pipeline")
    parser.add_argument("--requests", type=int, default=10_000, help="number of requests")
    parser.add_argument("--clients", type=int, default=32, help="clients that send at the same time")
    parser.add_argument("--texts", type=int, default=32, help="texts in a request")
    parser.add_argument("--pipe-requests", type=int, default=2000, help="requests whose texts nlp.pipe reads")
    for name in ("part", "work", "port", "server"):
        kind = {"work": Path, "port": int, "server": int}.get(name, str)
        parser.add_argument(f"--{name}", type=kind, default=0 if kind is int else None, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.part:
        print(json.dumps(read_by_pipe(args) if args.part == "pipe" else send_load(args)))
        return
    with tempfile.TemporaryDirectory() as folder:
        args.work = Path(folder)
        texts = read_texts(spacy.load(args.model), args.data, args.docs)
        srsly.write_json(args.work / "texts.json", [texts, expected_answers(args.model, texts)])
        pipe = [run_part(args, "pipe")]
        port = free_port()
        server = start_server(args, port)
        memory = memory_of(server.pid)
        try:
            found = run_part(args, "load", port=port, server=server.pid)
        finally:
            server.send_signal(signal.SIGTERM)
            code = server.wait(timeout=60)
        pipe.append(run_part(args, "pipe"))
    report(args, found, pipe, memory, code)


if __name__ == "__main__":
    main()
