# SPDX-License-Identifier: Apache-2.0
"""What the programs in this directory share: a place to install in, a server, and the telling of results.

A program is started by tools/clients with its own directory as the current one (CLIENT_HOME), which is kept from run
to run: what is installed there is installed once.
"""
import base64
import contextlib
import http.client
import http.server
import json
import os
import pathlib
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading

ROOT = pathlib.Path(__file__).resolve().parents[2]
HOME = pathlib.Path(os.environ.get("CLIENT_HOME", "."))
PROGRAMS = pathlib.Path(os.environ.get("BUILD", ROOT / "build")) / "src" / "main"
PATIENCE = 20
OPENHANDS = ("openhands-ai==0.62.0", "pytest", "pytest-asyncio", "pytest-xdist", "pytest-timeout", "reportlab", "pillow")


def tell(test, result, reason=""):
    """result: passed, failed or skipped."""
    with open(os.environ.get("RESULTS", "results.jsonl"), "a", encoding="utf-8") as out:
        out.write(json.dumps({"test": test, "result": result, "reason": reason}) + "\n")


def skip_all(reason):
    """There is no running this client here."""
    tell(None, "skipped", reason)
    sys.exit(0)


def find_python(version):
    """The path of a Python of that version ("3.12"), or None. PATH first, then where pyenv keeps them."""
    candidates = [shutil.which(f"python{version}")]
    candidates += sorted(pathlib.Path.home().glob(f".pyenv/versions/{version}.*/bin/python{version}"), reverse=True)
    for path in filter(None, candidates):
        found = subprocess.run([path, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"], text=True,
                               stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False)
        if found.returncode == 0 and found.stdout.strip() == version:
            return str(path)
    return None


def venv(version, *requirements, place=HOME):
    """The python of a virtual environment with these packages; made at first, and again when they change."""
    python = find_python(version)
    if not python:
        skip_all(f"no Python {version} on this machine")
    home, stamp = place / "venv", place / "venv" / "installed"
    wanted = "\n".join((python, *requirements))
    if not stamp.exists() or stamp.read_text() != wanted:
        shutil.rmtree(home, ignore_errors=True)
        print(f"installing {' '.join(requirements)}", flush=True)
        subprocess.run([python, "-m", "venv", home], check=True)
        # uv finds out in seconds what pip needs minutes for.
        steps = ([home / "bin" / "pip", "install", "-q", "uv"],
                 [home / "bin" / "uv", "pip", "install", "-q", "--python", home / "bin" / "python", *requirements])
        for step in steps:
            if subprocess.run(step, check=False).returncode != 0:
                skip_all(f"could not be installed: {' '.join(requirements)}")
        stamp.write_text(wanted)
    return str(home / "bin" / "python")


class Server:
    """`cay serve` on a free port of 127.0.0.1 with a state directory of its own."""

    def __init__(self, *options, has_docker=False):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="cay-clients-"))
        self.docker = self.directory / "docker.sock"  # not where a client works: what holds it is lent to nobody
        if has_docker:
            options += ("--docker", f"unix:{self.docker}")
        os.chmod(self.directory, 0o755)
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.url, self.socket = f"http://127.0.0.1:{self.port}", self.directory / "cay.sock"
        self.token = "clients-" + os.urandom(16).hex()
        ready, child_ready = os.pipe()
        self.log = open(HOME / "server.log", "w", encoding="utf-8")
        self.process = subprocess.Popen(
            [PROGRAMS / "cay", "serve", "--listen", f"127.0.0.1:{self.port}", "--socket", self.socket,
             "--state", self.directory / "state", "--ready-fd", str(child_ready), *options],
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, pass_fds=[child_ready],
            env={**os.environ, "CAY_TOKEN": self.token, "XDG_RUNTIME_DIR": str(self.directory)})
        os.close(child_ready)
        with open(ready, encoding="utf-8") as pipe:
            assert select.select([pipe], [], [], PATIENCE)[0] and pipe.read(1), "the server does not start"

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        self.process.wait(PATIENCE)
        self.log.close()
        shutil.rmtree(self.directory, ignore_errors=True)


@contextlib.contextmanager
def serve(*options, has_docker=False):
    server = Server(*options, has_docker=has_docker)
    try:
        yield server
    finally:
        server.stop()


KEPT_HEADERS = ("content-type", "accept", "x-amz-security-token")


def read_body(handler):
    if handler.headers.get("Transfer-Encoding") != "chunked":
        return handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
    body = b""
    while size := int(handler.rfile.readline().split(b";")[0], 16):
        body += handler.rfile.read(size)
        handler.rfile.readline()
    handler.rfile.readline()
    return body


class Recorder:
    """A proxy before a server that keeps what a client says and is answered, as lines of JSON.

    A line: method, path, headers that matter, body (as JSON, text or base64), status, and response in the same forms.
    `hide` changes a line's text before it is kept: what another run would say otherwise gets a name.
    """

    def __init__(self, server, hide):
        self.server, self.hide, self.lines = server, hide, []
        recorder = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_one(self):
                if self.headers.get("Upgrade"):  # WebSockets are not recorded
                    self.send_error(404)
                    return
                recorder.pass_on(self, read_body(self))

            do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = handle_one

            def log_message(self, *args):
                pass

        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}"
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    def pass_on(self, handler, body):
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=600)
        headers = {name: value for name, value in handler.headers.items()
                   if name.lower() not in ("host", "content-length", "transfer-encoding", "accept-encoding")}
        connection.request(handler.command, handler.path, body, headers)
        reply = connection.getresponse()
        answer = reply.read().replace(self.server.url.encode(), self.url.encode())
        kept = {name: value for name, value in headers.items() if name.lower() in KEPT_HEADERS}
        self.lines.append(self.hide(json.dumps(
            {"method": handler.command, "path": handler.path, "headers": kept, **form("body", body), "status": reply.status,
             **form("response", answer)}, ensure_ascii=False, separators=(",", ":"))))
        handler.send_response(reply.status)
        handler.send_header("Content-Type", reply.headers.get("Content-Type", "application/octet-stream"))
        for name in "ETag", "Location":
            if name in reply.headers:
                handler.send_header(name, reply.headers[name])
        if reply.status != 204:
            handler.send_header("Content-Length", str(len(answer)))
        handler.end_headers()
        handler.wfile.write(answer)

    def close(self):
        self.http.shutdown()
        self.http.server_close()


def form(name, data):
    """{} for nothing, else the bytes as `name`, or as `name`_base64 if they are no text; JSON as JSON."""
    if not data:
        return {}
    try:
        return {name: json.loads(data)}
    except ValueError:
        pass
    try:
        return {name: data.decode()}
    except UnicodeDecodeError:
        return {name + "_base64": base64.b64encode(data).decode()}
