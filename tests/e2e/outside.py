# SPDX-License-Identifier: Apache-2.0
"""A server whose network is a namespace of its own, where addresses of the internet are its loopback's, and what is
reached there: plain servers that say who was connected to and echo, and TLS servers of a certificate authority of
the test's own."""
import contextlib
import ctypes
import json
import os
import pathlib
import socket
import ssl
import subprocess
import tempfile
import threading

import pytest
from conftest import PROGRAMS, Server, end_server
from waiting import PATIENCE, wait_until  # noqa: F401

PREPARE = "ip link set lo up && for a in {addresses}; do ip addr add $a/32 dev lo; done && " \
          "mount --bind {hosts} /etc/hosts && {more} exec {become} \"$@\""


def enter_network(pid):
    """Of this thread alone."""
    libc = ctypes.CDLL(None, use_errno=True)
    with open(f"/proc/{pid}/ns/net", encoding="ascii") as ns:
        assert libc.setns(ns.fileno(), 0x40000000) == 0


class Authority:
    """A certificate authority, and certificates of it."""

    def __init__(self, directory):
        self.directory = pathlib.Path(directory)
        self.pem = self.make("ca", ["-subj", "/CN=test authority"])

    def make(self, name, words):
        pem = self.directory / f"{name}.pem"
        done = subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
             "-keyout", self.directory / f"{name}.key", "-out", pem, *words], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        pem.chmod(0o644)
        return pem

    def context(self, name):
        """Of a server that can prove to be `name`."""
        self.make(name, ["-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}",
                         "-addext", "basicConstraints=critical,CA:FALSE",
                         "-CA", self.pem, "-CAkey", self.directory / "ca.key"])
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.directory / f"{name}.pem", self.directory / f"{name}.key")
        return context


class Outside:
    """What is reached, in the server's network."""

    def __init__(self, pid):
        self.pid, self.sockets = pid, []
        self.seen = []      # addresses that were connected to
        self.requests = []  # (head, body) of requests of HTTP
        self.broken = []    # what came to nothing

    def listen(self, port, address="0.0.0.0", context=None, serve=None):
        done = threading.Event()

        def work():
            enter_network(self.pid)
            listener = socket.create_server((address, port))
            self.sockets.append(listener)
            done.set()
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                threading.Thread(target=self.take, args=(connection, context, serve or self.serve), daemon=True).start()

        threading.Thread(target=work, daemon=True).start()
        assert done.wait(PATIENCE)

    def swallow(self, address, port):
        """UDP that is read and never answered; a semaphore that counts by whom."""
        taken, done = threading.Semaphore(0), threading.Event()

        def work():
            enter_network(self.pid)
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
                s.bind((address, port))
                self.sockets.append(s)
                done.set()
                known = set()
                with contextlib.suppress(OSError):
                    while True:
                        who = s.recvfrom(4096)[1]
                        if who not in known:
                            taken.release()
                        known.add(who)

        threading.Thread(target=work, daemon=True).start()
        assert done.wait(PATIENCE)
        return taken

    def take(self, connection, context, serve):
        with contextlib.closing(connection):
            address = connection.getsockname()
            self.seen.append(address)
            try:
                if context:
                    connection.settimeout(PATIENCE)
                    connection = context.wrap_socket(connection, server_side=True)
                serve(connection)
            except OSError as e:
                self.broken.append(str(e))
            finally:
                connection.close()

    def serve(self, connection):
        data = connection.recv(65536)
        if data.startswith(b"GET /to/"):
            url = data.split()[1][4:]
            connection.sendall(b"HTTP/1.1 302 Found\r\nConnection: close\r\nContent-Length: 0\r\nLocation: http://%b\r\n\r\n" %
                               url)
            return
        if data[:4] == b"GET ":
            body = f"reached {connection.getsockname()[0]}\n".encode()
            connection.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%b" %
                               (len(body), body))
            return
        while data:
            connection.sendall(data)
            data = connection.recv(65536)

    def serve_http(self, connection):
        """Keeps the connection; the body of an answer is the head of its request, as it came here."""
        reader = connection.makefile("rb")
        while line := reader.readline():
            head = [line]
            while (line := reader.readline()).strip():
                head.append(line)
            fields = {name.strip().lower(): value.strip() for name, _, value in
                      (line.decode("latin-1").partition(":") for line in head[1:])}
            body = reader.read(int(fields.get("content-length", 0)))
            while fields.get("transfer-encoding") == "chunked" and (size := int(reader.readline(), 16)):
                body += reader.read(size + 2)[:-2]
            if fields.get("transfer-encoding"):
                reader.readline()
            text = b"".join(head)
            self.requests.append((text.decode("latin-1"), body))
            if fields.get("upgrade") == "websocket":
                connection.sendall(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
                while data := reader.read1(65536):
                    connection.sendall(data)
                return
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(text), text))

    def close(self):
        for s in self.sockets:
            s.close()


def become_user(directory, uid):
    """Words before the command line of who is to run as `uid`, whose directory it is."""
    if uid is None:
        return ""
    os.chown(directory, uid, uid)
    return f"setpriv --reuid={uid} --regid={uid} --clear-groups"


@contextlib.contextmanager
def server_outside(hosts, addresses, *options, trust=None, settings=None, uid=None, name_server=None):
    """trust: a file of certificates that the server believes. name_server: whom it asks for what is not in hosts."""
    directory = tempfile.mkdtemp(prefix="cay-e2e-")
    os.chmod(directory, 0o755)
    become = become_user(directory, uid)
    file = pathlib.Path(directory) / "hosts"
    file.write_text(hosts)
    file.chmod(0o644)
    more = f"export SSL_CERT_FILE={trust} &&" if trust else ""
    if name_server:
        resolv = file.with_name("resolv.conf")
        resolv.write_text(f"nameserver {name_server}\n")
        resolv.chmod(0o644)
        more += f" {{ [ ! -e /etc/resolv.conf ] || mount --bind {resolv} /etc/resolv.conf; }} &&"
    prepare = PREPARE.format(addresses=" ".join(addresses), hosts=file, more=more, become=become)
    started = Server(directory, "--pool", "0", *options, settings=settings,
                     prefix=["unshare", "--net", "--mount", "sh", "-c", prepare, "sh"])
    started.outside = Outside(started.process.pid)
    started.hosts = file
    try:
        yield started
    finally:
        started.outside.close()
        end_server(started)


def skip_without(network, server, uid=None):
    """Where the host cannot have the network, says the doctor; in the server's own network, as its user."""
    who = ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups"] if uid is not None else []
    run = subprocess.run(["nsenter", "-t", str(server.process.pid), "-n", "-m", *who, PROGRAMS / "cay", "doctor", "--json"],
                         capture_output=True, text=True, cwd="/")
    found, = (n for n in json.loads(run.stdout)["networks"] if n["network"] == network)
    if not found["available"]:
        pytest.skip(f"--network {network}: {found['reason']}")


@contextlib.contextmanager
def server_behind(addresses, *options, prepare="true", uid=None):
    """A server whose network namespace leads to another one, the internet: there are the addresses. `prepare` is done
    in the server's network before it starts, as root; it runs as `uid`. Nothing of the host's own network is changed."""
    directory = tempfile.mkdtemp(prefix="cay-e2e-")
    os.chmod(directory, 0o755)
    become = become_user(directory, uid)
    with subprocess.Popen(["unshare", "--net", "sh", "-c", "echo; exec sleep 600"], stdout=subprocess.PIPE) as internet:
        try:
            internet.stdout.readline()  # its namespace is there
            there = f"ip link set lo up; ip link set wan up; ip addr add {UPSTREAM}/30 dev wan; " + \
                    "".join(f"ip addr add {a}/32 dev lo; " for a in addresses)
            here = (f"set -e; ip link set lo up; ip link add wan type veth peer name wan netns {internet.pid}; "
                    f"ip addr add {HOST}/30 dev wan; ip link set wan up; nsenter -t {internet.pid} -n sh -c '{there}'; "
                    f"ip route add default via {UPSTREAM}; ip addr add {HOST_LAN}/32 dev lo; "
                    f"echo 1 > /proc/sys/net/ipv4/ip_forward; {prepare}; exec {become} \"$@\"")
            started = Server(directory, "--pool", "0", *options,
                             prefix=["unshare", "--net", "--mount", "sh", "-c", here, "sh"])
            started.outside = Outside(internet.pid)
            try:
                yield started
            finally:
                started.outside.close()
                end_server(started)
        finally:
            internet.kill()


UPSTREAM, HOST, HOST_LAN = "192.88.99.1", "192.88.99.2", "10.77.0.1"
ORDINARY = 4711  # a user of a server for which everybody may open this
TUN = "d=$(mktemp -d); mknod $d/tun c 10 200; chmod 666 $d/tun; mkdir -p /dev/net; touch /dev/net/tun 2>/dev/null || true; " \
      "mount --bind $d/tun /dev/net/tun; rm -r $d"
