"""A server that answers W&B as far as a run needs it, or misbehaves; and a run of metrics in a process of its own."""

import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

KEY = "0123456789abcdef0123456789abcdef01234567"
FAULTS = ("refused", "slow", "500", "dropped")
"""What the server does with a request: not there at all, an answer after 30 s, an error, a closed connection."""


class WandbServer(ThreadingHTTPServer):
    """Answers W&B's questions on loopback; `fault` is what it does instead, and may change at any time."""

    daemon_threads = True

    def __init__(self, fault: str | None = None) -> None:
        super().__init__(("127.0.0.1", 0), _Answers)
        self.fault, self.received = fault, b""
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        if fault == "refused":
            self.close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def close(self) -> None:
        """Answer no more; who asks is refused."""
        self.shutdown()
        self.server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that leave are no matter."""


class _Answers(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def _answer(self) -> None:
        server: Any = self.server
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        server.received += body
        if server.fault == "slow":
            time.sleep(30)
        if server.fault in ("dropped", "refused"):
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True
            return
        answer = json.dumps(self._data(body) if self.path == "/graphql" else {}).encode()
        self.send_response(500 if server.fault == "500" else 200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    do_GET = do_POST = do_PUT = _answer

    def _data(self, body: bytes) -> dict[str, Any]:
        asked = json.loads(body)
        query, variables = asked["query"], asked.get("variables") or {}
        if "mutation UpsertBucket" in query:
            entity = {"id": "ZQ==", "name": "me"}
            project = {"id": "cA==", "name": variables.get("project") or "babelscope", "entity": entity}
            bucket = {
                "id": "aWQ=",
                "name": variables["name"],
                "displayName": "a run",
                "config": "{}",
                "project": project,
            }
            return {"data": {"upsertBucket": {"bucket": {**bucket, "historyLineCount": 0}, "inserted": True}}}
        if "mutation CreateRunFiles" in query:
            url: Any = self.server
            files = [{"name": name, "uploadUrl": f"{url.url}/upload/{name}"} for name in variables["files"]]
            return {"data": {"createRunFiles": {"runID": "aWQ=", "uploadHeaders": [], "files": files}}}
        if "query RunResumeStatus" in query:
            return {"data": {"model": None}}
        viewer = {"id": "dQ==", "entity": "me", "username": "me", "flags": "{}", "teams": {"edges": []}}
        return {"data": {"viewer": viewer, "serverInfo": {"features": []}}}

    def log_message(self, *words: Any) -> None:
        """Say nothing."""


@contextmanager
def served(fault: str | None = None) -> Iterator[WandbServer]:
    """A server while it is needed."""
    server = WandbServer(fault)
    try:
        yield server
    finally:
        server.fault = "dropped"
        if fault != "refused":
            server.close()


LOGGING = """
import atexit, json, logging, sys, time
ending = 0.0
atexit.register(lambda: print(json.dumps(time.monotonic() - ending), flush=True))
logging.basicConfig(format="%(levelname)s %(message)s")
from babelscope.training.fit.wandb_logger import RunWandbLogger
folder, steps, pause = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
logger = RunWandbLogger(mode="online", save_dir=folder, id="run1", timeout=float(sys.argv[4]))
began = time.monotonic()
logger.log_hyperparams({"seed": 0})
start, longest = time.monotonic() - began, 0.0
for step in range(steps):
    if step == steps // 2:
        print("half", flush=True)
        sys.stdin.readline()
    before = time.monotonic()
    logger.log_metrics({"training/loss": 1.0 / (step + 1)}, step)
    longest = max(longest, time.monotonic() - before)
    time.sleep(pause)
before = time.monotonic()
logger.finalize("success")
print(json.dumps({"start": start, "longest": longest, "end": time.monotonic() - before}), flush=True)
ending = time.monotonic()
"""
"""A run that logs numbers; it stops half-way until it is told to go on."""


def logged_run(
    server: WandbServer,
    folder: Path,
    then: str | None = None,
    steps: int = 40,
    pause: float = 0.01,
    timeout: float = 3.5,
) -> dict[str, Any]:
    """Log a run in a process of its own.

    Args:
        server: the server that it is online with.
        folder: folder of the run.
        then: the server's fault from half of the run on; `killed` kills W&B's own process there.
        steps: how many steps it logs.
        pause: seconds of each step.
        timeout: the logger's, in seconds.

    Returns:
        Seconds of its start, of its longest step, of its end and of the end of the process, and their sum; what it
        said (`log`) and its exit status.
    """
    folder.mkdir(parents=True, exist_ok=True)
    said = {**os.environ, "WANDB_BASE_URL": server.url, "WANDB_API_KEY": KEY}
    said.pop("WANDB_MODE", None)
    with (folder / "stderr").open("w") as errors:
        words = [sys.executable, "-c", LOGGING, str(folder), str(steps), str(pause), str(timeout)]
        process = subprocess.Popen(
            words, env=said, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors
        )
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "half\n", (folder / "stderr").read_text()
        if then == "killed":
            kill_services_of(process.pid)
        elif then == "refused":
            server.close()
        server.fault = then or server.fault
        process.stdin.write("\n")
        process.stdin.flush()
        seconds = json.loads(process.stdout.readline())
        seconds["exit"] = json.loads(process.stdout.readline())  # the hooks of the end; what follows is Python's own
        status = process.wait(60)
    lost = seconds["start"] + seconds["longest"] + seconds["end"] + seconds["exit"]
    return {**seconds, "lost": lost, "status": status, "log": (folder / "stderr").read_text()}


def kill_services_of(pid: int) -> None:
    """Kill W&B's processes that a process has started, and no others (Linux)."""
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            name, rest = status.read_text().rsplit(")", 1)
        except OSError:
            continue
        if "wandb-core" in name and int(rest.split()[1]) == pid:
            os.kill(int(status.parent.name), 9)


def values_in(folder: Path, name: str = "training/loss") -> int:
    """How often a metric stands in W&B's own files below a run's folder."""
    return sum(file.read_bytes().count(name.encode()) for file in (folder / "wandb").glob("*run-*/*.wandb"))
