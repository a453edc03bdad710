# SPDX-License-Identifier: Apache-2.0
"""A Kubernetes API server of our own, whose pods are real processes: the real executor, as the pod's spec has it started, in bubblewrap.

    with Cluster() as cluster:
        server = start_server("--backend", f"kubernetes={cluster.kubeconfig}", settings=cluster.settings())
        cluster.pods["cay-…"]["status"]; cluster.kill(name); cluster.cut(); cluster.refuse["POST", "pods"] = (403, "no")

It knows pods, secrets and network policies of one namespace; lists in pages; watches, which can be cut, be made to expire and be made to lie.
An image's name says what becomes of its pod: "missing" cannot be fetched, "crash" ends at once, "roomless" is not scheduled, "slow" starts when
it is let go.
"""
import base64
import contextlib
import hashlib
import http.server
import itertools
import json
import os
import pathlib
import random
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import threading
import time
import urllib.parse

from conftest import PATIENCE, PROGRAMS, sanitizer_reports
from processes import children

TOKEN = "cluster-token"
NETWORKS = itertools.count(1)
WAITING = {"missing": ("ErrImagePull", 'rpc error: code = NotFound desc = failed to pull "missing": not found')}


def status(code, message, reason="Unknown"):
    return {"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": message, "reason": reason, "code": code}


class Pod:
    """Runs what its spec says; one process, pid 1 of a pid namespace."""

    def __init__(self, cluster, spec, number):
        self.cluster, self.address = cluster, f"{cluster.network}.{number}"
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="cay-pod-"))
        for name in ("cay", "workspace", "home"):
            (self.dir / name).mkdir(mode=0o777)
        (self.dir / "last-word").touch()
        init, main = spec["initContainers"][0], spec["containers"][0]
        assert init["command"] == ["/cay-executor", "--install", "/.cay"]
        subprocess.run([PROGRAMS / "cay-executor", "--install", self.dir / "cay"], check=True)
        command = list(main["command"])
        command[command.index("--listen") + 1] = f"{self.address}:{command[command.index('--listen') + 1]}"
        self.uid = spec["securityContext"]["runAsUser"]
        volumes = {mount["name"]: mount for mount in main["volumeMounts"]}
        argv = ["bwrap", "--unshare-user", "--uid", str(self.uid), "--gid", str(self.uid), "--unshare-pid", "--as-pid-1",
                "--unshare-ipc", "--unshare-uts", "--hostname", spec["hostname"],
                "--ro-bind", "/usr", "/usr", "--symlink", "usr/bin", "/bin", "--symlink", "usr/lib", "/lib", "--symlink", "usr/lib64", "/lib64",
                "--symlink", "usr/sbin", "/sbin", "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp", "--dir", "/etc",
                "--bind", self.dir / "last-word", "/dev/termination-log", "--chdir", "/", "--clearenv", "--setenv", "HOME", "/",
                "--setenv", "PATH", "/usr/bin:/bin"]
        for name, mount in volumes.items():
            argv += ["--ro-bind" if mount.get("readOnly") else "--bind", self.dir / name, mount["mountPath"]]
        for variable in main["env"]:
            argv += ["--setenv", variable["name"], variable.get("value") or cluster.secret_of(variable["valueFrom"]["secretKeyRef"])]
        if spec["containers"][0]["image"] == "crash":
            command += ["--workdir", "/usr/nowhere"]
        self.process = subprocess.Popen([*argv, *command], stdin=subprocess.DEVNULL, stderr=open(self.dir / "log", "wb"))

    def kill(self):
        """Its pid 1; bubblewrap, which waits for that outside, ends with it."""
        while self.process.poll() is None and not children(self.process.pid):
            time.sleep(0.002)  # it has just been started
        for pid in children(self.process.pid) if self.process.poll() is None else []:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def stop(self):
        self.kill()
        self.process.wait()
        log = (self.dir / "log").read_text(errors="replace")
        self.cluster.reports += sanitizer_reports(log)
        shutil.rmtree(self.dir, ignore_errors=True)


class Cluster:
    def __init__(self):
        self.lock = threading.Condition()
        self.pods, self.secrets, self.policies, self.running = {}, {}, {}, {}
        self.version, self.events, self.cuts, self.oldest = 1, [], 0, 0
        self.refuse = {}       # (method, kind) → (status, message), or a list of them for the next ones
        self.swallow = []      # (method, kind): performed, and never answered
        self.held = set()      # names of images whose pods wait for `let_go`
        self.requests, self.reports = [], []  # the latter of executors
        self.network = f"127.{random.randrange(16, 216)}.{next(NETWORKS) % 250}"
        self.numbers = iter(range(1, 255))
        self.page = 200
        self.token = TOKEN
        self.is_over = False
        self.forwards = 0      # port forwardings so far
        self.hides = False     # the addresses that pods have to tell lead nowhere
        self.junk = b""        # written into each watch before an event
        handler = type("Handler", (Handler,), {"cluster": self})
        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.http.server_port}"
        threading.Thread(target=self.http.serve_forever, daemon=True).start()
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="cay-cluster-"))
        self.kubeconfig = self.write_config(self.url)

    def write_config(self, url, user=None, name="config", **cluster):
        path = self.dir / name
        path.write_text(json.dumps({
            "apiVersion": "v1", "kind": "Config", "current-context": "here",
            "clusters": [{"name": "c", "cluster": {"server": url, **cluster}}],
            "users": [{"name": "u", "user": user or {"token": TOKEN}}],
            "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u", "namespace": "agents"}}]}))
        return path

    @staticmethod
    def settings(**more):
        return {"container": {"executor_image": "registry.example/cay:1", "schedule_wait": 1, **more}}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        with self.lock:
            self.is_over = True
            self.lock.notify_all()
        self.http.shutdown()
        self.http.server_close()
        for pod in list(self.running.values()):
            pod.stop()
        shutil.rmtree(self.dir, ignore_errors=True)
        assert not self.reports, "\n".join(self.reports)

    # What becomes of objects; with the lock held.

    def note(self, kind, pod):
        self.version += 1
        pod["metadata"]["resourceVersion"] = str(self.version)
        self.events.append((self.version, {"type": kind, "object": json.loads(json.dumps(pod))}))
        self.lock.notify_all()

    def secret_of(self, ref):
        return base64.b64decode(self.secrets[ref["name"]]["data"][ref["key"]]).decode()

    def start(self, pod):
        spec = pod["spec"]
        image = spec["containers"][0]["image"]
        pod["status"] = {"phase": "Pending"}
        self.note("ADDED", pod)
        if image == "roomless":
            pod["status"]["conditions"] = [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable",
                                            "message": "0/3 nodes are available: 3 Insufficient cpu."}]
        elif image in WAITING:
            reason, message = WAITING[image]
            pod["status"]["containerStatuses"] = [{"image": image, "state": {"waiting": {"reason": reason, "message": message}}}]
        elif image not in self.held:
            self.run(pod)
            return
        self.note("MODIFIED", pod)

    def run(self, pod):
        name = pod["metadata"]["name"]
        one = self.running[name] = Pod(self, pod["spec"], next(self.numbers))
        pod["status"] = {"phase": "Running", "podIP": "192.0.2.1" if self.hides else one.address, "containerStatuses": [{"name": "sandbox", "state": {"running": {}}}]}
        self.note("MODIFIED", pod)
        threading.Thread(target=self.await_end, args=(pod, one), daemon=True).start()

    def await_end(self, pod, one, reason="Error"):
        code = one.process.wait()
        with self.lock:
            word = ""
            with contextlib.suppress(FileNotFoundError):  # it was stopped
                word = (one.dir / "last-word").read_text()
            pod["status"] = {"phase": "Failed" if code else "Succeeded", "containerStatuses": [{"name": "sandbox", "state": {"terminated": {
                "exitCode": code & 255, "reason": getattr(one, "reason", reason if code else "Completed"), "message": word}}}]}
            if pod["metadata"]["name"] in self.pods:
                self.note("MODIFIED", pod)
            if "deletionTimestamp" in pod["metadata"]:
                self.forget(pod)

    def forget(self, pod):
        name = pod["metadata"]["name"]
        if self.pods.pop(name, None):
            one = self.running.pop(name, None)
            if one:
                one.stop()
            self.note("DELETED", pod)

    # What a test does.

    def let_go(self, image):
        with self.lock:
            self.held.discard(image)
            for pod in list(self.pods.values()):
                if pod["spec"]["containers"][0]["image"] == image and pod["metadata"]["name"] not in self.running:
                    self.run(pod)

    def delete(self, name):
        """As the API does: what runs gets its end, and then the object goes."""
        with self.lock:
            pod = self.pods[name]
            if "deletionTimestamp" in pod["metadata"]:
                return pod
            pod["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
            self.note("MODIFIED", pod)
            one = self.running.get(name)
            if one and one.process.poll() is None:
                threading.Timer(0.3, one.kill).start()  # the grace that it is given
            else:
                self.forget(pod)
            return pod

    def kill(self, name, reason="Error"):
        self.running[name].reason = reason
        self.running[name].kill()

    def cut(self):
        """Every watch ends here and now."""
        with self.lock:
            self.cuts += 1
            self.lock.notify_all()

    def expire(self):
        """What was before cannot be watched from any more."""
        with self.lock:
            self.oldest = self.version + 1
            self.version += 1
            self.cuts += 1
            self.lock.notify_all()

    def wait_for(self, true, what="what a test waits for"):
        deadline = time.monotonic() + PATIENCE
        with self.lock:
            while not true():
                assert self.lock.wait(max(0, deadline - time.monotonic())), f"{what} did not come"


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    cluster = None

    def log_message(self, *_):
        pass

    is_mute = False

    def answer(self, code, body):
        if self.is_mute:
            self.close_connection = True
            return
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def serve(self):
        c = self.cluster
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path, _, query = self.path.partition("?")
        query = dict(urllib.parse.parse_qsl(query))
        parts = path.split("/namespaces/agents/")
        kind, _, name = parts[1].partition("/") if len(parts) == 2 else ("", "", "")
        if name.endswith("/portforward"):
            kind, name = "portforward", name.removesuffix("/portforward")
        c.requests.append((self.command, kind, name))
        if self.headers.get("Authorization") != f"Bearer {c.token}":
            return self.answer(401, status(401, "Unauthorized"))
        refusal = c.refuse.get((self.command, kind))
        if isinstance(refusal, list):
            refusal = refusal.pop(0) if refusal else None
        if refusal:
            return self.answer(refusal[0], refusal[1] if isinstance(refusal[1], bytes) else status(*refusal))
        self.is_mute = (self.command, kind) in c.swallow
        if self.is_mute:
            c.swallow.remove((self.command, kind))
        return getattr(self, f"{self.command}_{kind}", self.nothing)(name, query, json.loads(body or b"{}"))

    do_GET = do_POST = do_DELETE = serve

    def nothing(self, name, query, body):
        self.answer(404, status(404, "the server could not find the requested resource"))

    def is_new(self, objects, body):
        """Keeps it; if there is one of its name already, that was the answer."""
        name = body["metadata"]["name"]
        with self.cluster.lock:
            if objects.setdefault(name, body) is body:
                return True
        self.answer(409, status(409, f'"{name}" already exists', "AlreadyExists"))
        return False

    def POST_pods(self, name, query, body):
        if self.is_new(self.cluster.pods, body):
            with self.cluster.lock:
                self.cluster.start(body)
            self.answer(201, body)

    def POST_secrets(self, name, query, body):
        body["data"] = {key: base64.b64encode(value.encode()).decode() for key, value in body.pop("stringData").items()}
        if self.is_new(self.cluster.secrets, body):
            self.answer(201, body)

    def POST_networkpolicies(self, name, query, body):
        if self.is_new(self.cluster.policies, body):
            self.answer(201, body)

    def DELETE_pods(self, name, query, body):
        try:
            self.answer(200, self.cluster.delete(name))
        except KeyError:
            self.answer(404, status(404, f'pods "{name}" not found', "NotFound"))

    def DELETE_secrets(self, name, query, body):
        with self.cluster.lock:
            if not name:
                self.cluster.secrets.clear()
                found = True
            else:
                found = self.cluster.secrets.pop(name, None)
        self.answer(200 if found else 404, status(200 if found else 404, ""))

    def GET_pods(self, name, query, body):
        c = self.cluster
        if query.get("watch"):
            return self.watch(int(query["resourceVersion"]))
        with c.lock:
            key, _, value = query["labelSelector"].partition("=")
            found = [pod for pod in c.pods.values() if pod["metadata"]["labels"].get(key) == value]
            first, size = int(query.get("continue", 0)), min(c.page, int(query["limit"]))
            more = {"continue": str(first + size)} if first + size < len(found) else {}
            data = json.dumps({"kind": "PodList", "metadata": {"resourceVersion": str(c.version), **more}, "items": found[first:first + size]})
        return self.answer(200, data.encode())

    # Port forwarding, as kubelet does it over a WebSocket.

    def message(self, payload):
        size = len(payload)
        head = bytes([0x82, size]) if size < 126 else b"\x82\x7e" + struct.pack(">H", size)
        self.connection.sendall(head + payload)

    def read_message(self):
        """None: the client says goodbye, or has gone."""
        head = self.rfile.read(2)
        if len(head) < 2 or head[0] & 15 == 8:
            return None
        size = head[1] & 127
        if size > 125:
            size, = struct.unpack(">H" if size == 126 else ">Q", self.rfile.read(2 if size == 126 else 8))
        mask, data = self.rfile.read(4), self.rfile.read(size)
        mask = (mask * (size // 4 + 1))[:size]
        return (int.from_bytes(data, "big") ^ int.from_bytes(mask, "big")).to_bytes(size, "big")

    def pass_on(self, pod):
        with contextlib.suppress(OSError, ValueError):  # the request has ended, and with it its file
            while (message := self.read_message()) is not None:
                assert message[0] == 0, "only bytes go to the pod"
                pod.sendall(message[1:])
        with contextlib.suppress(OSError):
            pod.shutdown(socket.SHUT_RDWR)

    def GET_portforward(self, name, query, body):
        self.close_connection = True
        one = self.cluster.running.get(name)
        if not one:
            return self.answer(404, status(404, f'pods "{name}" not found', "NotFound"))
        assert self.headers["Upgrade"] == "websocket" and self.headers["Sec-WebSocket-Protocol"] == "v4.channel.k8s.io"
        self.cluster.forwards += 1
        accept = hashlib.sha1((self.headers["Sec-WebSocket-Key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()
        self.wfile.write(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Protocol: v4.channel.k8s.io\r\n"
                         b"Sec-WebSocket-Accept: " + base64.b64encode(accept) + b"\r\n\r\n")
        port = int(query["ports"])
        for channel in (0, 1):
            self.message(bytes([channel]) + struct.pack("<H", port))
        try:
            pod = socket.create_connection((one.address, port))
        except OSError as e:
            return self.message(b"\x01an error occurred forwarding: " + str(e).encode())
        threading.Thread(target=self.pass_on, args=(pod,), daemon=True).start()
        with pod, contextlib.suppress(OSError):
            while piece := pod.recv(32 * 1024):
                self.message(b"\x00" + piece)
            self.connection.sendall(b"\x88\x02\x03\xe8")
        return None

    def watch(self, version):
        c = self.cluster
        if version < c.oldest:
            self.close_connection = True
            return self.answer(200, json.dumps({"type": "ERROR", "object": status(410, "too old resource version", "Expired")}).encode() + b"\n")
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        cuts = c.cuts
        with contextlib.suppress(OSError):
            while True:
                with c.lock:
                    while not c.is_over and cuts == c.cuts and not (c.events and c.events[-1][0] > version):
                        c.lock.wait()
                    if c.is_over or cuts != c.cuts:
                        return None
                    new = [event for event in c.events if event[0] > version]
                version = new[-1][0]
                for _, event in new:
                    self.wfile.write(c.junk + json.dumps(event).encode() + b"\n")
