# SPDX-License-Identifier: Apache-2.0
"""A small client of the Docker Engine API over a Unix socket, with its hijacked connections."""
import contextlib
import io
import json
import os
import socket
import struct
import tarfile
import urllib.parse

from conftest import Reply, UnixConnection, start_server
from waiting import PATIENCE


class Hijacked:
    """A connection that was taken over: raw bytes both ways."""

    def __init__(self, path, target, body=b"", upgrade=True):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(PATIENCE)
        self.sock.connect(str(path))
        more = "Connection: Upgrade\r\nUpgrade: tcp\r\n" if upgrade else ""
        self.sock.sendall((f"POST {target} HTTP/1.1\r\nHost: docker\r\n{more}Content-Type: application/json\r\n"
                           f"Content-Length: {len(body)}\r\n\r\n").encode() + body)
        # Read as docker-py does: what came together with the head would be lost to it.
        self.head = self.sock.recv(65536)
        self.status = int(self.head.split()[1])

    def send(self, data):
        self.sock.sendall(data)

    def end_input(self):
        self.sock.shutdown(socket.SHUT_WR)

    def read(self, size):
        data = b""
        while len(data) < size:
            piece = self.sock.recv(size - len(data))
            if not piece:
                break
            data += piece
        return data

    def frame(self):
        """(channel, bytes) of the next frame; None at the end."""
        head = self.read(8)
        if not head:
            return None
        channel, size = struct.unpack("!BxxxL", head)
        return channel, self.read(size)

    def frames(self):
        """All output by channel."""
        outputs = {1: b"", 2: b""}
        while frame := self.frame():
            outputs[frame[0]] += frame[1]
        return outputs

    def raw(self):
        data = b""
        while piece := self.sock.recv(65536):
            data += piece
        return data

    def close(self):
        self.sock.close()


def split_frames(data):
    outputs = {1: b"", 2: b""}
    while data:
        channel, size = struct.unpack("!BxxxL", data[:8])
        outputs[channel] += data[8:8 + size]
        data = data[8 + size:]
    return outputs


def tar_of(files, **more):
    """bytes of a tar archive; a value is content, a TarInfo as it is, or None for a directory."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", **more) as archive:
        for name, content in files.items():
            if isinstance(content, tarfile.TarInfo):
                archive.addfile(content)
                continue
            info = tarfile.TarInfo(name)
            info.mode = 0o755
            if content is None:
                info.type = tarfile.DIRTYPE
            else:
                info.size = len(content)
            archive.addfile(info, io.BytesIO(content or b""))
    return buffer.getvalue()


class Docker:
    def __init__(self, path):
        self.path = path

    def request(self, method, target, body=None, headers=None, timeout=PATIENCE, **query):
        if query:
            target += "?" + urllib.parse.urlencode(query)
        with contextlib.closing(UnixConnection(self.path, timeout)) as connection:
            if body is not None and not isinstance(body, bytes):
                body = json.dumps(body).encode()
            connection.request(method, target, body, headers or {})
            response = connection.getresponse()
            return Reply(response.status, response.headers, response.read())

    def open(self, method, target, **query):
        """A response to be read piece by piece, and its connection."""
        connection = UnixConnection(self.path)
        connection.request(method, target + "?" + urllib.parse.urlencode(query))
        return connection, connection.getresponse()

    def hijack(self, target, body=None, **query):
        if query:
            target += "?" + urllib.parse.urlencode(query)
        return Hijacked(self.path, target, json.dumps(body).encode() if body is not None else b"")

    def create(self, *command, name=None, **body):
        query = {"name": name} if name else {}
        reply = self.request("POST", "/v1.43/containers/create",
                             {"Image": "host", "Cmd": list(command) or ["sleep", "infinity"], **body}, **query)
        assert reply.status == 201, reply.body
        return Container(self, reply.json["Id"], reply.json["Warnings"])

    def start(self, *command, **more):
        container = self.create(*command, **more)
        container.start()
        return container


class Container:
    def __init__(self, docker, name, warnings):
        self.docker, self.id, self.warnings = docker, name, warnings
        self.path = f"/v1.43/containers/{name}"

    def request(self, method, rest="", body=None, **more):
        return self.docker.request(method, self.path + rest, body, **more)

    def start(self):
        reply = self.request("POST", "/start")
        assert reply.status == 204, reply.body

    def inspect(self):
        return self.request("GET", "/json").json

    def status(self):
        return self.inspect()["State"]["Status"]

    def wait(self, **query):
        return self.request("POST", "/wait", **query).json["StatusCode"]

    def logs(self, **query):
        return split_frames(self.request("GET", "/logs", stdout=1, stderr=1, **query).body)

    def prepare(self, *command, **body):
        reply = self.request("POST", "/exec", {"Cmd": list(command), "AttachStdout": True, "AttachStderr": True, **body})
        assert reply.status == 201, reply.body
        return reply.json["Id"]

    def open_exec(self, *command, **body):
        exec_id = self.prepare(*command, **body)
        stream = self.docker.hijack(f"/v1.43/exec/{exec_id}/start", {"Detach": False, "Tty": body.get("Tty", False)})
        return exec_id, stream

    def exec(self, *command, **body):
        """(exit code, stdout, stderr)"""
        exec_id, stream = self.open_exec(*command, **body)
        outputs = stream.frames()
        return self.exec_inspect(exec_id)["ExitCode"], outputs[1], outputs[2]

    def exec_inspect(self, exec_id):
        return self.docker.request("GET", f"/v1.43/exec/{exec_id}/json").json

    def put(self, path, archive):
        return self.request("PUT", "/archive", archive, path=path)

    def remove(self):
        return self.request("DELETE", force="true")


def serve_docker():
    path = f"/tmp/cay-docker-{os.getpid()}-{os.urandom(4).hex()}.sock"
    server = start_server("--docker", f"unix:{path}")
    server.docker = Docker(path)
    return server


def error_of(reply):
    """The text of an error in Docker's shape."""
    assert set(reply.json) == {"message"}
    return reply.json["message"]
