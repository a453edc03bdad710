# SPDX-License-Identifier: Apache-2.0
"""Containers over the Docker Engine API: the same requests to any engine (tests/e2e/engines.py has a podman)."""
import http.client
import io
import json
import pathlib
import socket
import statistics
import sys
import tarfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tests" / "e2e"))


class Engine:
    """One keep-alive connection, as a client library has."""

    def __init__(self, path):
        self.path = str(path)
        self.connection = self.connect()

    def connect(self):
        connection = http.client.HTTPConnection("docker", timeout=120)
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.settimeout(120)
        connection.sock.connect(self.path)
        return connection

    def request(self, method, path, body=None):
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/x-tar" if isinstance(body, bytes) else "application/json"}
        try:
            self.connection.request(method, "/v1.41" + path, data, headers)
            answer = self.connection.getresponse()
        except (http.client.HTTPException, OSError):
            self.connection = self.connect()
            self.connection.request(method, "/v1.41" + path, data, headers)
            answer = self.connection.getresponse()
        text = answer.read()
        if answer.status >= 400:
            raise RuntimeError(f"{method} {path}: {answer.status} {text[:300]!r}")
        try:
            return json.loads(text) if text[:1] in (b"{", b"[") else text
        except ValueError:  # a stream of them
            return [json.loads(line) for line in text.splitlines() if line.strip()]

    def exec(self, container, *argv):
        """The output of a program and its exit code; the stream is taken over as clients do."""
        made = self.request("POST", f"/containers/{container}/exec",
                            {"AttachStdout": True, "AttachStderr": True, "Cmd": list(argv)})["Id"]
        body = b'{"Detach":false,"Tty":false}'
        with socket.socket(socket.AF_UNIX) as stream:
            stream.settimeout(120)
            stream.connect(self.path)
            stream.sendall(b"POST /v1.41/exec/%s/start HTTP/1.1\r\nHost: docker\r\nContent-Type: application/json\r\n"
                           b"Connection: Upgrade\r\nUpgrade: tcp\r\nContent-Length: %d\r\n\r\n%s"
                           % (made.encode(), len(body), body))
            output = b""
            while piece := stream.recv(65536):
                output += piece
        return output, self.request("GET", f"/exec/{made}/json")["ExitCode"]

    def load_root(self, archive, name):
        """The id of the image that it becomes."""
        said = self.request("POST", f"/images/create?fromSrc=-&repo={name}&tag=1", archive)
        images = self.request("GET", "/images/json")
        for image in images:
            if any(name in tag for tag in image["RepoTags"] or []):
                return image["Id"]
        raise RuntimeError(f"the image is not there: {said!r:.300} {images!r:.300}")

    def build(self, archive, query):
        """Seconds."""
        begin = time.perf_counter()
        said = self.request("POST", f"/build?networkmode=none&rm=1&pull=0&{query}", archive)
        seconds = time.perf_counter() - begin
        errors = [line["error"] for line in said if "error" in line] if isinstance(said, list) else [said]
        assert not errors, errors
        return seconds

    def cycle(self, image, number):
        """create, start, exec, remove: seconds."""
        begin = time.perf_counter()
        container = self.request("POST", "/containers/create", {
            "Image": image, "Cmd": ["/bin/sleep", "60"],
            "HostConfig": {"NetworkMode": "none", "Memory": 64 << 20, "PidsLimit": 64}})["Id"]
        self.request("POST", f"/containers/{container}/start")
        output, code = self.exec(container, "/bin/echo", f"ok{number}")
        assert f"ok{number}".encode() in output and code == 0, (output, code)
        self.request("DELETE", f"/containers/{container}?force=1")
        return time.perf_counter() - begin


def measure(engine, image, cycles):
    for number in range(2):
        engine.cycle(image, number)
    times = sorted(engine.cycle(image, number) for number in range(cycles))
    return {"p50_us": statistics.median(times) * 1e6, "p95_us": times[int(len(times) * 0.95)] * 1e6, "cycles": cycles}


BUILD = """FROM {image}
ENV WHO=bench
COPY data /data
RUN cat /data /data > /made
RUN cp /made /again
WORKDIR /work
RUN echo $WHO > who
CMD ["/bin/cat", "/work/who"]
"""


def build_context(image):
    """A Dockerfile of eight steps, three of them commands, and a megabyte that one copies."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, data in {"Dockerfile": BUILD.format(image=image.removeprefix("sha256:")).encode(), "data": bytes(1 << 20)}.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def measure_build(engine, image, times):
    """The same steps from nothing, and again with all of them in the cache."""
    archive = build_context(image)
    cold = [engine.build(archive, "t=built:1&nocache=1") for _ in range(times + 1)][1:]
    engine.build(archive, "t=built:1")
    cached = [engine.build(archive, "t=built:1") for _ in range(times)]
    return {"cold_us": statistics.median(cold) * 1e6, "cached_us": statistics.median(cached) * 1e6, "builds": times}
