# SPDX-License-Identifier: Apache-2.0
"""Containers over the Docker Engine API: the same requests to any engine (tests/e2e/engines.py has a podman)."""
import http.client
import json
import pathlib
import socket
import statistics
import sys
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
        return json.loads(text) if text[:1] in (b"{", b"[") else text

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
