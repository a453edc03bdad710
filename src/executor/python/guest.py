# SPDX-License-Identifier: Apache-2.0
"""cay_guest: what a Python program of cay's inside a sandbox talks to the executor with (executor/guest.h).

The program is source text that the executor sends; it imports this module:

    import cay_guest as guest
    guest.arguments                       # what guest_start was given
    for request, body in guest.messages():   # one after the other, None for request if it wants no answer
        request.event({"step": 1})
        request.output(1, b"text for stdout")
        request.result({"sum": body["a"] + body["b"]})     # or request.error("invalid_argument", "why")

Any thread may send; only one may receive. messages() ends when the executor closes the channel.
Where the executor asks for a copy (guest_fork), messages() forks: in the child it yields (None, FORKED) first, and
everything else then is the child's. From the second copy on one is made in advance, a spare: it has had its own copies
of the pages that it writes to (before_spare), which is most of what a new one costs, and waits for its descriptors.
The next one is made when a copy has given its first answer, whose time it would take else, or SPARE_AFTER_S later.
"""
import array
import errno
import fcntl
import importlib.abc
import importlib.machinery
import json
import linecache
import os
import select
import signal
import socket
import struct
import sys
import termios
import threading
import time

HEAD = struct.Struct("<16sBBBBI")
MESSAGE, OUTPUT, FORK, BELL, REAP = 1, 2, 3, 4, 5
FIRST, LAST, FINAL, ERROR, BEHIND = 1, 2, 4, 8, 16
PAYLOAD_MAX = 60 * 1024
SMALL = 4096  # bytes that are copied sooner than sent from two places
MESSAGE_MAX = 16 * 1024 * 1024
DESCRIPTOR_MIN = 200
FORK_WAITS_S = [0.01 * 2**i for i in range(9)]  # 5 s in all

FORKED = {"forked": True}
SPARES_FROM = 2  # copies that are asked for, after which there is a spare
SPARE_AFTER_S = 0.05

after_fork = None  # called once in what was forked from, after the first time
before_spare = None  # called in a spare, before it waits
arguments = None
bell = None  # a descriptor to read from, if the executor will ring (guest_ring)
watches_pipes = True  # False: it does not matter when what was written to descriptors 1 and 2 is read
is_child = False  # of a fork that the agent's code made: what it prints goes to the descriptors

_socket = None
_nonce = None
_lock = threading.RLock()
_buffer = bytearray(HEAD.size + PAYLOAD_MAX)
_view = memoryview(_buffer)
_NOTHING = bytes(HEAD.size)
_has_fork = True  # until the program says whether descriptors come
_unread = array.array("i", [0])
_to_json = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=str).encode


def _encode(body):
    return _to_json(body).encode("utf-8", "replace")  # a lone surrogate has no place in JSON


class TooLarge(Exception):
    """A message above MESSAGE_MAX."""


class Request:
    """What the executor wants an answer to."""

    __slots__ = ("number",)

    def __init__(self, number):
        self.number = number

    def event(self, body):
        _send(self.number, 0, _encode(body))

    def output(self, channel, data):
        """Bytes that the program printed: 1 stdout, 2 stderr."""
        for i in range(0, len(data), PAYLOAD_MAX):
            _packet(OUTPUT, 0, channel, self.number, data[i:i + PAYLOAD_MAX])

    def result(self, body):
        _send(self.number, FINAL, _encode(body))

    def result_text(self, text):
        """The same, of what is JSON already."""
        _send(self.number, FINAL, text.encode("utf-8", "replace"))

    def error(self, code, message):
        """code: a name of base/error.def, such as invalid_argument."""
        _send(self.number, FINAL | ERROR, _encode({"code": code, "message": str(message)[:2000]}))


def tell(body):
    """A message that belongs to no request."""
    _send(0, 0, _encode(body))


def fileno():
    """For select: readable when messages() has something, or its end."""
    return _socket.fileno()


def _is_behind():
    """Whether somebody wrote to descriptor 1 or 2 what the executor has not read yet."""
    for fd in (1, 2):
        try:
            fcntl.ioctl(fd, termios.FIONREAD, _unread)
        except OSError:
            continue
        if _unread[0]:
            return BEHIND
    return 0


def _packet(kind, flags, channel, number, data):
    with _lock:
        behind = _is_behind() if watches_pipes else 0
        head = HEAD.pack(_nonce, kind, flags | behind, channel, 0, number)
        if len(data) < SMALL:
            _socket.send(head + data)
        else:
            _socket.sendmsg((head, data))


def _tell_first_answer():
    global _unanswered
    waker, _unanswered = _unanswered, None
    try:
        waker.close()
    except OSError:  # the agent's code has closed every descriptor
        pass


def _send(number, flags, data):
    if len(data) > MESSAGE_MAX:
        raise TooLarge("a message of %d bytes; the limit is %d" % (len(data), MESSAGE_MAX))
    if len(data) <= PAYLOAD_MAX:
        _packet(MESSAGE, FIRST | LAST | flags, 0, number, data)
        return
    with _lock:
        for i in range(0, len(data), PAYLOAD_MAX):
            piece = FIRST if i == 0 else 0
            if i + PAYLOAD_MAX >= len(data):
                piece |= LAST | flags
            _packet(MESSAGE, piece, 0, number, data[i:i + PAYLOAD_MAX])
    if flags & FINAL and _unanswered is not None:
        _tell_first_answer()


def is_asked():
    """Something was read that its reader has not begun with; seen also in the moment after the system call."""
    return _buffer[:HEAD.size] != _NOTHING


def begin():
    _buffer[:HEAD.size] = _NOTHING


def _receive_packet():
    """(kind, flags, request, payload, descriptors), or None at the end."""
    global _nonce
    fds = []
    if _has_fork:
        size, controls, _, _ = _socket.recvmsg_into([_buffer], 256)
        for level, kind, data in controls:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                received = array.array("i")
                received.frombytes(data[:len(data) - len(data) % received.itemsize])
                fds = list(received)
    else:
        size = _socket.recv_into(_buffer)
    if size == 0:
        return None
    if size < HEAD.size:
        return 0, 0, 0, b"", fds
    nonce, kind, flags, _, _, number = HEAD.unpack_from(_buffer)
    if _nonce is None:
        _nonce = nonce
    if nonce != _nonce:
        kind = 0
    return kind, flags, number, _view[HEAD.size:size], fds


def _parse(payload):
    text = str(payload, "utf-8", "surrogatepass")
    return text if text[:1] == "=" else json.loads(text)


def _receive():
    """(number, body), or None at the end. A body that begins with "=" is no JSON, but text for the program."""
    global bell
    parts = None
    while True:
        if parts is None:
            begin()
        if _is_spare_due and parts is None and _is_time_for_a_spare() and _make_spare():
            return 0, FORKED
        packet = _receive_packet()
        if packet is None:
            return None
        kind, flags, number, payload, fds = packet
        if kind == BELL and len(fds) == 1:
            bell = _move_up(fds[0])
        if kind == REAP and signal.getsignal(signal.SIGCHLD) is _reap:
            _reap()  # the signal may have come just before we waited here, and Python only noted it
        if kind == FORK and len(fds) == 3:
            if _fork(fds):
                return 0, FORKED
            continue
        if kind != MESSAGE:
            continue
        if flags & FIRST and flags & LAST:
            return number, _parse(payload)
        if flags & FIRST:
            parts = []
        if parts is not None:
            parts.append(bytes(payload))
            if flags & LAST:
                return number, _parse(b"".join(parts))


def messages():
    """Everything that comes, as (Request or None, body)."""
    while True:
        message = _receive()
        if message is None:
            return
        number, body = message
        yield (Request(number) if number else None), body


def _move_up(fd):
    """A descriptor where neither a shell's redirections nor a daemon's habits reach it by chance."""
    try:
        high = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, DESCRIPTOR_MIN)
    except OSError:
        return fd
    os.close(fd)
    return high


def _open(fd):
    global _socket, _nonce
    _nonce = None
    _socket = socket.socket(fileno=_move_up(fd))


def _after_fork_in_child():
    """A fork of the agent's: the channel is its parent's alone."""
    global is_child
    if _forking[0]:
        return
    is_child = True
    _socket.close()


def _reap(*_):
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        if _spare is not None and _spare[0] == pid:
            _drop_spare()
        tell({"exited": pid, "status": status})


_forking = [False]
_forks = 0
_spare = None  # (pid, the socket that it waits at)
_is_spare_due = False
_answering = None  # the socket of what was a spare, which ends when it has answered
_unanswered = None  # its other end, there


def _drop_spare():
    global _spare
    spare, _spare = _spare, None
    if spare is not None:
        spare[1].close()


def _fork_patiently():
    """-1 if there is no room for a process, and none comes to be: those that were killed a moment ago still count.
    Nothing tells when one counts no more."""
    for wait_s in FORK_WAITS_S:
        try:
            return os.fork()
        except OSError as error:
            why = error
            if why.errno != errno.EAGAIN:
                break
        time.sleep(wait_s)
    os.write(2, ("fork: %s\n" % why.strerror).encode())  # the executor hears of it: nobody has the other end
    return -1


def _detach():
    """In the child: it has nothing of its parent's any more, and leads its own session."""
    global _lock
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.setsid()
    _lock = threading.RLock()
    _socket.close()


def _attach(fds):
    """In the child: its own channel, stdout and stderr, and what the executor wants to be different."""
    global arguments
    os.dup2(fds[1], 1)
    os.dup2(fds[2], 2)
    os.close(fds[1])
    os.close(fds[2])
    _open(fds[0])
    _forking[0] = False
    _set_fork(False)
    message = _receive()
    if message is None:
        os._exit(0)
    changes = message[1]
    wanted = dict(var.split("=", 1) for var in changes["env"])
    for name in [name for name in os.environ if name not in wanted]:
        del os.environ[name]
    for name, value in wanted.items():
        if os.environ.get(name) != value:
            os.environ[name] = value
    try:
        os.chdir(changes["cwd"])
    except OSError as why:
        print("change to %s: %s" % (changes["cwd"], why.strerror), file=sys.__stderr__, flush=True)
    arguments = changes["arguments"]
    tell({"ready": os.getpid()})


def _hand_over(fds):
    """False: there is no spare that takes them."""
    global _spare, _answering
    spare, _spare = _spare, None
    if spare is None:
        return False
    try:
        spare[1].sendmsg([b"f"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))])
    except OSError:  # it was killed
        spare[1].close()
        return False
    _answering = spare[1]
    return True


def _is_time_for_a_spare():
    """Waits for that, or for the next message, which comes first."""
    global _is_spare_due, _answering
    waited = [_socket] if _answering is None else [_socket, _answering]
    if _socket in select.select(waited, [], [], SPARE_AFTER_S)[0]:
        return False
    _is_spare_due = False
    if _answering is not None:
        _answering.close()
        _answering = None
    return True


def _make_spare():
    """True in the spare, once it has become what the executor asked for."""
    global _spare, _unanswered
    _forking[0] = True
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        pid = os.fork()
    except OSError:
        pid = -1
    if pid != 0:
        _forking[0] = False
        theirs.close()
        if pid > 0:
            _spare = pid, ours
        else:
            ours.close()
        return False
    ours.close()
    _detach()
    if before_spare is not None:
        before_spare()
    _, controls, _, _ = theirs.recvmsg(1, 256)
    received = array.array("i")
    for level, kind, data in controls:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            received.frombytes(data[:len(data) - len(data) % received.itemsize])
    if len(received) != 3:  # nobody wants it any more
        os._exit(0)
    _unanswered = socket.socket(fileno=_move_up(theirs.detach()))
    _attach(list(received))
    return True


def _fork(fds):
    """True in the child, which has its own channel, stdout and stderr, and leads its own session."""
    global after_fork, _forks, _is_spare_due, _answering
    _forks += 1
    _is_spare_due = False
    if _answering is not None:
        _answering.close()
        _answering = None
    _forking[0] = True
    pid = 1 if _hand_over(fds) else _fork_patiently()
    if pid == 0:
        _detach()
        _attach(fds)
        return True
    for fd in fds:
        os.close(fd)
    if after_fork is not None:
        then, after_fork = after_fork, None
        then()
    _forking[0] = False
    _is_spare_due = _forks >= SPARES_FROM
    return False


def _set_fork(has_fork):
    global _has_fork
    _has_fork = has_fork
    if has_fork:
        signal.signal(signal.SIGCHLD, _reap)


class _Sources(importlib.abc.MetaPathFinder, importlib.abc.InspectLoader):
    """The modules that came along, when they are imported; their lines can be seen in a traceback."""

    def __init__(self, sources):
        self.sources = dict(sources)

    def find_spec(self, name, path=None, target=None):
        if name not in self.sources:
            return None
        return importlib.machinery.ModuleSpec(name, self, origin="<cay %s>" % name)

    def get_source(self, fullname):
        return self.sources[fullname]

    def get_code(self, fullname):
        text, name = self.sources[fullname], "<cay %s>" % fullname
        linecache.cache[name] = (len(text), None, text.splitlines(True), name)
        return compile(text, name, "exec")


def _main():
    global arguments
    null = os.open("/dev/null", os.O_RDWR)
    boot = socket.socket(fileno=os.dup(0))
    os.dup2(null, 0)
    os.close(null)
    _open(boot.detach())
    os.register_at_fork(after_in_child=_after_fork_in_child)
    program = _receive()
    if program is None:
        return
    arguments = program[1]["arguments"]
    _set_fork(program[1]["has_fork"])
    tell({"ready": os.getpid()})
    sys.meta_path.insert(0, _Sources(program[1]["sources"]))
    importlib.import_module(program[1]["sources"][-1][0])
