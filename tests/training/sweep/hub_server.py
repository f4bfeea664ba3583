"""A hub on loopback: repositories in memory, with revisions, and faults on demand."""

import hashlib
import json
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote

import huggingface_hub.constants as constants


def use_hub(monkeypatch, server: "LoopbackHub", cache: Path) -> None:
    """Have huggingface_hub ask a loopback server, with a cache of its own."""
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "ENDPOINT", server.url)
    monkeypatch.setattr(
        constants, "HUGGINGFACE_CO_URL_TEMPLATE", server.url + "/{repo_id}/resolve/{revision}/{filename}"
    )
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))


class LoopbackHub:
    """Serves `repos[name][revision][file] -> bytes` in the way huggingface_hub asks for it.

    Attributes:
        requests: (method, path) of every request.
        faults: path -> list of what to do with the next requests for it: "break" (half of the body, then the end of
            the connection), "drop" (no answer at all), "slow", or a status such as 503.
        sent: bytes of files that went out, per path.
    """

    def __init__(self) -> None:
        self.repos: dict[str, dict[str, dict[str, bytes]]] = {}
        self.requests: list[tuple[str, str]] = []
        self.ranges: list[str] = []
        self.faults: dict[str, list] = {}
        self.sent: Counter = Counter()
        hub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                hub.answer(self, body=True)

            def do_HEAD(self):
                hub.answer(self, body=False)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()

    def add(self, repo: str, revision: str, folder: Path) -> None:
        """Publish a folder as a revision."""
        files = {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}
        self.repos.setdefault(repo, {})[revision] = files

    def answer(self, request, body: bool) -> None:
        path = unquote(request.path.split("?")[0])
        self.requests.append((request.command, path))
        fault = self.faults.get(path, [None]).pop(0) if body and self.faults.get(path) else None
        if fault == "drop":
            request.close_connection = True
            return None
        if isinstance(fault, int):
            return self._json(request, fault, {"error": "not now"})
        parts = path.strip("/").split("/")
        if parts[:2] == ["api", "models"]:
            return self._api(request, "/".join(parts[2:4]), parts[4:])
        repo, rest = "/".join(parts[:2]), parts[2:]
        revisions = self.repos.get(repo, {})
        revision = next((name for name in revisions if rest[1:2] and rest[1] in (name, _commit(repo, name))), None)
        if revision is None:
            return self._json(request, 404, {"error": "no"}, {"X-Error-Code": "RevisionNotFound"})
        content = revisions[revision].get("/".join(rest[2:]))
        if content is None:
            return self._json(request, 404, {"error": "no"}, {"X-Error-Code": "EntryNotFound"})
        return self._file(request, path, content, _commit(repo, revision), body, fault)

    def _api(self, request, repo, rest):
        revisions = self.repos.get(repo)
        if revisions is None:
            return self._json(request, 404, {"error": "no"}, {"X-Error-Code": "RepoNotFound"})
        if rest == ["refs"]:
            branches = [{"name": n, "ref": f"refs/heads/{n}", "targetCommit": _commit(repo, n)} for n in revisions]
            return self._json(request, 200, {"branches": branches, "tags": [], "converts": []})
        assert rest[0] == "revision", rest
        name = next((n for n in revisions if rest[1] in (n, _commit(repo, n))), None)
        if name is None:
            return self._json(request, 404, {"error": "no"}, {"X-Error-Code": "RevisionNotFound"})
        siblings = [{"rfilename": file} for file in revisions[name]]
        return self._json(request, 200, {"id": repo, "modelId": repo, "sha": _commit(repo, name), "siblings": siblings})

    def _file(self, request, path, content, commit, body, fault):
        start = 0
        if request.headers.get("Range"):
            self.ranges.append(request.headers["Range"])
            start = int(request.headers["Range"].split("=")[1].split("-")[0])
        part = content[start:]
        request.send_response(206 if start else 200)
        request.send_header("Content-Length", str(len(part)))
        if start:
            request.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        request.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
        request.send_header("X-Repo-Commit", commit)
        request.send_header("Accept-Ranges", "bytes")
        request.end_headers()
        if body:
            if fault == "break":
                part = part[: len(part) // 2]
            self.sent[path] += len(part)
            for at in range(0, len(part), 2048):
                request.wfile.write(part[at : at + 2048])
                if fault == "slow":
                    threading.Event().wait(0.02)
            if fault == "break":
                request.wfile.flush()
                request.connection.close()
                request.close_connection = True

    @staticmethod
    def _json(request, status, content, headers=None):
        data = json.dumps(content).encode()
        request.send_response(status)
        for name, value in (headers or {}).items():
            request.send_header(name, value)
        request.send_header("Content-Type", "application/json")
        request.send_header("Content-Length", str(len(data)))
        request.end_headers()
        if request.command != "HEAD":
            request.wfile.write(data)


def _commit(repo: str, revision: str) -> str:
    return hashlib.sha1(f"{repo}@{revision}".encode()).hexdigest()
