# SPDX-License-Identifier: Apache-2.0
"""A bare cay-executor, without sandbox or server, and calls on it.

    with Executor() as x:
        x.call("run", command="echo hi")["output"]            # "hi\n"; raises Failed for an error
        with x.open("exec", argv=["cat"], stdin=True) as call:  # a call that streams
            call.send(b"abc"); call.eof()
            call.result()                                     # final; call.data[1] is what came on channel 1
"""
import array
import json
import os
import pathlib
import shutil
import signal
import socket
import struct
import subprocess
import tempfile

from waiting import PATIENCE

REQUEST, DATA, EOF, CONTROL, EVENT, RESULT, ERROR = range(1, 8)
TOP = pathlib.Path(__file__).resolve().parents[2]


def build_dir():
    return pathlib.Path(os.environ.get("BUILD", TOP / "build"))


class Failed(Exception):
    """An error frame."""

    def __init__(self, error):
        super().__init__(f"{error['code']}: {error['message']}")
        self.code, self.message = error["code"], error["message"]


class Ended(Exception):
    """The call ended without a final frame."""


class Call:
    def __init__(self, sock):
        self.sock = sock
        self.sock.settimeout(PATIENCE)
        self.buffer = bytearray()
        self.data = {0: bytearray(), 1: bytearray(), 2: bytearray()}
        self.events = []
        self.final = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.sock.close()

    def frame(self, kind, payload=b"", channel=0):
        self.sock.sendall(struct.pack("<IBBH", len(payload), kind, channel, 0) + payload)

    def send(self, data, channel=0):
        for i in range(0, len(data), 200_000):
            self.frame(DATA, data[i:i + 200_000], channel)

    def eof(self, channel=0):
        self.frame(EOF, channel=channel)

    def control(self, **what):
        self.frame(CONTROL, json.dumps(what).encode())

    def receive(self):
        """One frame: (kind, channel, payload)."""
        while True:
            if len(self.buffer) >= 8:
                size, kind, channel, _ = struct.unpack_from("<IBBH", self.buffer)
                if len(self.buffer) >= 8 + size:
                    payload = bytes(self.buffer[8:8 + size])
                    del self.buffer[:8 + size]
                    return kind, channel, payload
            got = self.sock.recv(1 << 20)
            if not got:
                raise Ended("the executor closed the call")
            self.buffer += got

    def step(self):
        """Takes one frame in; True if it was the last."""
        kind, channel, payload = self.receive()
        if kind == DATA:
            self.data[channel] += payload
        elif kind == EVENT:
            self.events.append(json.loads(payload))
        elif kind == RESULT:
            self.final = json.loads(payload)
            return True
        elif kind == ERROR:
            raise Failed(json.loads(payload))
        return False

    def until(self, condition):
        """Takes frames in until condition(self)."""
        while not condition(self):
            if self.step():
                assert condition(self), f"the call ended before: {self.final}"

    def result(self):
        while self.final is None:
            self.step()
        return self.final


class Executor:
    def __init__(self, workdir=None, env=None, args=()):
        self.temporary = workdir is None
        self.workdir = workdir or tempfile.mkdtemp(prefix="cay-test-")
        self.control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        program = os.environ.get("CAY_EXECUTOR", build_dir() / "src/main/cay-executor")
        self.home = tempfile.mkdtemp(prefix="cay-home-")

        def prepare():
            os.dup2(theirs.fileno(), 3)
            os.set_inheritable(3, True)

        self.process = subprocess.Popen([str(program), "--workdir", self.workdir, *args], preexec_fn=prepare,
                                        pass_fds=[3, theirs.fileno()])
        theirs.close()
        self.call("configure", env={"HOME": self.home, "PATH": os.environ["PATH"], **(env or {})})

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        try:
            self.end_all()
        finally:
            self.control.close()
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
        shutil.rmtree(self.home, ignore_errors=True)
        if self.temporary:
            shutil.rmtree(self.workdir, ignore_errors=True)

    def end_all(self):
        """A bare executor has no pid namespace that would take its children along."""
        if self.process.poll() is not None:
            return
        for s in self.call("session_list")["sessions"]:
            self.call("session_close", session=s["session"])
        for p in self.call("process_list")["processes"]:
            self.call("process_remove", process=p["process"])

    def connect(self):
        ours, theirs = socket.socketpair()
        self.control.sendmsg([b"C"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [theirs.fileno()]))])
        theirs.close()
        return Call(ours)

    def open(self, action, **params):
        call = self.connect()
        call.frame(REQUEST, json.dumps({"action": action, "params": params}).encode())
        return call

    def call(self, action, **params):
        with self.open(action, **params) as call:
            return call.result()

    def run(self, command="", **params):
        return self.call("run", command=command, **params)
