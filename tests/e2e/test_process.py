# SPDX-License-Identifier: Apache-2.0
"""Processes started directly, on a bare executor."""
import contextlib
import hashlib
import json
import os
import time

import pytest
from executor import DATA, REQUEST, Ended, Executor, Failed
from waiting import wait_until


@pytest.fixture(scope="module")
def executor():
    with Executor() as x:
        yield x


def sh(script):
    return ["sh", "-c", script]


def capture(executor, argv, **params):
    return executor.call("exec", argv=argv, capture=True, **params)


def test_stdout_and_stderr_are_kept_apart(executor):
    r = capture(executor, sh("echo out; echo err >&2; exit 3"))
    assert (r["stdout"], r["stderr"], r["exit_code"], r["signal"]) == ("out\n", "err\n", 3, None)
    assert (r["stdout_bytes"], r["stderr_bytes"], r["status"]) == (4, 4, "exited")


def test_output_streams_as_data(executor):
    with executor.open("exec", argv=sh("echo one; read x; echo two >&2; echo $x"), stdin=True) as call:
        call.until(lambda c: c.data[1] == b"one\n")
        call.send(b"three\n")
        assert call.result()["exit_code"] == 0
        assert (bytes(call.data[1]), bytes(call.data[2])) == (b"one\nthree\n", b"two\n")


def test_environment_directory_and_path(executor):
    r = capture(executor, sh("echo $A; pwd; echo $PAGER"), env={"A": "x"}, cwd="/usr")
    assert r["stdout"] == "x\n/usr\ncat\n"
    assert capture(executor, sh("pwd"))["stdout"].strip() == executor.workdir


def test_without_stdin_the_input_is_empty(executor):
    assert capture(executor, ["cat"])["stdout"] == ""


@pytest.mark.parametrize("params,code", [
    ({"argv": ["no-such-program"]}, "not_found"),
    ({"argv": ["/etc/passwd"]}, "forbidden"),
    ({"argv": []}, "invalid_argument"),
    ({"argv": ["true"], "cwd": "/does/not/exist"}, "not_found"),
    ({"argv": ["true"], "user": "nobody-at-all"}, "not_found"),
    ({"argv": ["true"], "env": {"A=B": "x"}}, "invalid_argument"),
    ({"argv": ["true"], "signal": "x"}, "invalid_argument"),
])
def test_what_cannot_be_started_is_an_error_with_a_reason(executor, params, code):
    with pytest.raises(Failed) as e:
        executor.call("exec", **params)
    assert e.value.code == code


def test_signals_are_named(executor):
    r = capture(executor, sh("kill -SEGV $$"))
    assert (r["exit_code"], r["signal"]) == (None, "SEGV")


def test_input_of_any_size_goes_through(executor):
    data = os.urandom(3_000_000)
    with executor.open("exec", argv=["sha256sum"], stdin=True) as call:
        call.send(data)
        call.eof()
        call.result()
        assert call.data[1].split()[0].decode() == hashlib.sha256(data).hexdigest()


def test_input_for_a_program_that_does_not_read_does_no_harm(executor):
    with executor.open("exec", argv=["true"], stdin=True) as call:
        try:
            call.send(b"x" * 1_000_000)
        except (BrokenPipeError, ConnectionResetError):
            pass
        assert call.result()["exit_code"] == 0


def test_a_slow_reader_loses_nothing_and_slows_the_producer(executor):
    size = 30_000_000
    with executor.open("exec", argv=["head", "-c", str(size), "/dev/zero"]) as call:
        # Nothing is read here until the process is seen to wait.
        name = executor.call("process_list")["processes"][-1]["process"]
        last = -1
        while True:
            now = executor.call("process_list")["processes"][-1]
            if now["stdout_bytes"] == last:
                break
            last = now["stdout_bytes"]
            time.sleep(0.05)
        assert now["status"] == "running" and now["stdout_bytes"] < size, name
        total = 0
        while True:
            kind, _, payload = call.receive()
            if kind != DATA:
                break
            total += len(payload)
        assert total == size


def test_a_child_left_behind_with_the_pipes_delays_nothing(executor):
    began = time.monotonic()
    r = capture(executor, sh("sleep 60 & echo $!"))
    assert time.monotonic() - began < 50
    assert r["exit_code"] == 0
    os.kill(int(r["stdout"]), 9)


def test_what_is_in_the_pipe_at_the_end_is_not_lost(executor):
    for _ in range(20):
        r = capture(executor, sh("head -c 60000 /dev/zero | tr '\\0' x; sleep 60 & exit 0"))
        assert r["stdout_bytes"] == 60000
    executor.call("exec", argv=["pkill", "-f", "^sleep 60$"])


def test_closing_output_early_is_not_the_end(executor):
    with executor.open("exec", argv=sh("exec >&- 2>&-; read x; exit 5"), stdin=True) as call:
        call.send(b"\n")
        assert call.result()["exit_code"] == 5


def test_timeout_kills_the_whole_group(executor):
    r = capture(executor, sh("echo $$; sleep 100; echo no"), timeout_ms=200)
    assert (r["timed_out"], r["signal"]) == (True, "KILL")
    assert not os.path.exists(f"/proc/{r['stdout'].strip()}")


def test_signals_reach_the_group(executor):
    p = executor.call("exec", argv=sh("sleep 100 & wait"), detach=True)
    executor.call("process_signal", process=p["process"], signal="SIGTERM")
    assert executor.call("process_wait", process=p["process"])["signal"] == "TERM"
    with pytest.raises(Failed) as e:
        executor.call("process_signal", process=p["process"])
    assert e.value.code == "conflict"


def test_a_signal_by_control(executor):
    with executor.open("exec", argv=sh("trap 'exit 9' USR1; echo ready; while :; do sleep 0.01; done")) as call:
        call.until(lambda c: c.data[1] == b"ready\n")
        call.control(signal="USR1")
        assert call.result()["exit_code"] == 9


def test_detached_processes_have_a_log_that_can_be_read_again(executor):
    p = executor.call("exec", argv=sh("echo a; echo b >&2; echo c"), detach=True, name="job")
    assert p["status"] == "running"
    assert executor.call("process_wait", process="job")["exit_code"] == 0
    for _ in range(2):
        r = executor.call("process_logs", process="job", capture=True)
        assert "".join(e["text"] for e in r["entries"] if e["channel"] == 1) == "a\nc\n"
        assert r["next"] == 6 and r["skipped_bytes"] == 0
    r = executor.call("process_logs", process=p["process"], capture=True, after=5)
    assert "".join(e["text"] for e in r["entries"]) == "\n"


def test_followers_see_everything_until_the_end(executor):
    p = executor.call("exec", argv=sh("echo first; read x; echo last"), stdin=True, detach=True)
    with executor.open("process_logs", process=p["process"], follow=True) as one, \
            executor.open("process_logs", process=p["process"], follow=True) as two:
        for call in (one, two):
            call.until(lambda c: c.data[1] == b"first\n")
        r = executor.call("process_input", process=p["process"], text="x\n")
        assert r == {"written_bytes": 2}
        for call in (one, two):
            assert call.result()["process"]["exit_code"] == 0
            assert bytes(call.data[1]) == b"first\nlast\n"


def test_who_does_not_follow_is_told_at_once_where_the_end_is(executor):
    p = executor.call("exec", argv=sh("yes"), detach=True, log_bytes=100_000)
    wait_until(lambda: executor.call("process_list")["processes"][-1]["stdout_bytes"] > 1_000_000)
    with executor.open("process_logs", process=p["process"], after=10) as call:
        r = call.result()
        assert call.events[0] == {"next": r["next"]} and r["process"]["status"] == "running"
        assert 10 + len(call.data[1]) + r["skipped_bytes"] == r["next"]
        assert sum(e["skipped_bytes"] for e in call.events[1:]) == r["skipped_bytes"] > 0
    with executor.open("process_logs", process=p["process"], after=1 << 60) as call:
        assert call.result()["next"] == 1 << 60 and not call.data[1]
    executor.call("process_signal", process=p["process"], signal="KILL")
    assert executor.call("process_wait", process=p["process"])["signal"]


def test_a_slow_follower_is_told_what_it_missed_and_slows_nobody(executor):
    with executor.open("exec", argv=sh("read x; head -c 50000000 /dev/zero; echo end"), stdin=True,
                       log_bytes=100_000) as call:
        mine = wait_until(lambda: [p for p in executor.call("process_list")["processes"] if p["status"] == "running"])
        with executor.open("process_logs", process=mine[-1]["process"], follow=True) as slow:
            call.send(b"\n")
            call.eof()
            assert call.result()["stdout_bytes"] == 50_000_004
            assert len(call.data[1]) == 50_000_004
            r = slow.result()
            assert r["next"] == 50_000_004
            assert r["skipped_bytes"] + len(slow.data[1]) == 50_000_004
            assert r["skipped_bytes"] == sum(e["skipped_bytes"] for e in slow.events)
            assert slow.data[1].endswith(b"end\n")


def test_the_log_keeps_both_ends(executor):
    r = capture(executor, sh("echo begin; seq 100000; echo end"), log_bytes=4096)
    assert r["stdout"].startswith("begin\n1\n") and r["stdout"].endswith("100000\nend\n")
    assert len(r["stdout"]) <= 4096
    assert r["dropped_bytes"] + len(r["stdout"]) == r["stdout_bytes"]


def test_all_logs_together_are_bounded_and_each_keeps_its_ends():
    with Executor() as x:
        for i in range(4):
            x.call("exec", argv=sh("echo begin; head -c 60000000 /dev/zero | tr '\\0' x; echo; echo end"), name=f"n{i}",
                   log_bytes=64 << 20)
        held = 0
        for i in range(4):
            r = x.call("process_list")["processes"][i]
            assert r["exit_code"] == 0
            with x.open("process_logs", process=f"n{i}") as call:
                call.result()
                kept = bytes(call.data[1])
            assert kept.startswith(b"begin\n") and kept.endswith(b"x\nend\n")
            held += len(kept)
        assert held <= 128 << 20


def test_input_by_stream_and_eof(executor):
    p = executor.call("exec", argv=["wc", "-c"], stdin=True, detach=True)
    with executor.open("process_input", process=p["process"], text="abc", stream=True, eof=True) as call:
        call.send(b"x" * 500_000)
        call.eof()
        assert call.result()["written_bytes"] == 500_003
    executor.call("process_wait", process=p["process"])
    assert executor.call("process_logs", process=p["process"], capture=True)["entries"][0]["text"] == "500003\n"


def test_input_after_the_end_is_refused(executor):
    p = executor.call("exec", argv=["true"], stdin=True, detach=True)
    executor.call("process_wait", process=p["process"])
    with pytest.raises(Failed) as e:
        executor.call("process_input", process=p["process"], text="x")
    assert e.value.code == "conflict"


def test_a_process_on_a_terminal(executor):
    with executor.open("exec", argv=sh("tty -s && stty size; read x; stty size; echo got $x"), tty=True, stdin=True,
                       cols=91, rows=33) as call:
        call.until(lambda c: b"33 91\r\n" in c.data[1])
        call.control(resize=[50, 20])
        call.send(b"hello\r")
        assert call.result()["exit_code"] == 0
        assert b"20 50\r\ngot hello\r\n" in call.data[1]


def test_C_c_on_a_terminal(executor):
    with executor.open("exec", argv=["cat"], tty=True, stdin=True) as call:
        call.send(b"ready\r")
        call.until(lambda c: c.data[1].count(b"ready") == 2)
        call.send(b"\x03")
        assert call.result()["signal"] == "INT"


def test_wait_can_time_out(executor):
    p = executor.call("exec", argv=["sleep", "100"], detach=True)
    assert executor.call("process_wait", process=p["process"], timeout_ms=50)["status"] == "running"
    executor.call("process_remove", process=p["process"])
    with pytest.raises(Failed) as e:
        executor.call("process_wait", process=p["process"])
    assert e.value.code == "gone"


def test_names_are_unique_and_unknown_ones_not_found(executor):
    executor.call("exec", argv=["true"], name="unique", detach=True)
    with pytest.raises(Failed) as e:
        executor.call("exec", argv=["true"], name="unique")
    assert e.value.code == "already_exists"
    with pytest.raises(Failed) as e:
        executor.call("process_wait", process="p99999999")
    assert e.value.code == "not_found"


def test_a_lost_caller_leaves_the_process_running(executor):
    call = executor.open("exec", argv=sh("read x; echo done"), stdin=True, name="orphan")
    wait_until(lambda: [p for p in executor.call("process_list")["processes"] if p["name"] == "orphan"])
    call.close()
    executor.call("process_input", process="orphan", text="\n")
    assert executor.call("process_wait", process="orphan")["exit_code"] == 0


def test_removing_a_running_process_ends_its_watchers(executor):
    with executor.open("exec", argv=["sleep", "100"], name="victim") as call:
        wait_until(lambda: [p for p in executor.call("process_list")["processes"] if p["name"] == "victim"])
        executor.call("process_remove", process="victim")
        assert call.result()["signal"] == "KILL"


def test_what_else_runs_on_the_machine_is_not_told(executor):
    """A sandbox with a pid namespace of its own lists everything in it; this one would list the machine's."""
    with pytest.raises(Failed) as e:
        executor.call("process_tree")
    assert e.value.code == "unsupported" and "pid namespace" in str(e.value)
    assert "host_pid" not in capture(executor, ["true"]), "it has no other number"


def test_events_tell_of_processes(executor):
    with executor.open("subscribe") as events:
        executor.call("info")
        executor.call("exec", argv=["false"], name="told")
        events.until(lambda c: any(e["event"] == "process_ended" for e in c.events))
        assert [(e["event"], e["process"]["name"]) for e in events.events] == \
            [("process_started", "told"), ("process_ended", "told")]
        assert events.events[1]["process"]["exit_code"] == 1


def test_the_oldest_are_forgotten_first():
    with Executor() as x:
        for _ in range(260):
            x.call("exec", argv=["true"])
        ids = [p["process"] for p in x.call("process_list")["processes"]]
        assert len(ids) == 256 and ids[0] == "p5" and ids[-1] == "p260"
        with pytest.raises(Failed) as e:
            x.call("process_logs", process="p1")
        assert e.value.code == "gone"


def test_nothing_of_the_executor_is_inherited(executor):
    r = capture(executor, ["ls", "/proc/self/fd"])
    assert r["stdout"].split() == ["0", "1", "2", "3"]  # 3 is ls's own


def test_signals_are_as_at_birth(executor):
    r = capture(executor, ["grep", "-E", "^Sig(Blk|Ign)", "/proc/self/status"])
    assert [line.split()[1] for line in r["stdout"].splitlines()] == ["0" * 16, "0" * 16]


def test_configure_checks_before_it_changes(executor):
    with pytest.raises(Failed) as e:
        executor.call("configure", workdir="relative", env={"LEFT_OUT": "1"})
    assert e.value.code == "invalid_argument"
    assert capture(executor, sh("echo [$LEFT_OUT]"))["stdout"] == "[]\n"


def test_info_counts(executor):
    before = executor.call("info")
    p = executor.call("exec", argv=["sleep", "100"], detach=True)
    after = executor.call("info")
    assert after["processes"] == before["processes"] + 1
    assert after["disk_limit_bytes"] > 0 and after["uid"] == os.getuid()
    executor.call("process_remove", process=p["process"])


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")
def test_another_user(executor):
    r = capture(executor, sh("id -u; echo $USER $HOME"), user="nobody", cwd="/")
    assert r["stdout"].split()[:2] == ["65534", "nobody"]


@pytest.mark.parametrize("frames", [
    b"\xff" * 64, b"\0" * 8, b"\1\0\0\0\2\0\0\0x", b"\2\0\0\0\1\0\0\0{}", b"\1\0\0\0\1\0\0\0[",
    b"\x17\0\0\0\1\0\0\0" + b'{"action":"no_such_one"}'[:23],
])
def test_a_call_that_speaks_nonsense_harms_only_itself(executor, frames):
    with executor.connect() as call:
        call.sock.sendall(frames)
        try:
            call.result()
        except (Failed, Ended, OSError):
            pass
    executor.call("info")


def answers(executor):
    with contextlib.suppress(Failed):
        return executor.call("info")


def test_many_calls_at_once_have_a_ceiling():
    with Executor() as x:
        calls = [x.open("subscribe") for _ in range(1024)]
        with pytest.raises(Failed) as e:
            x.call("info")
        assert e.value.code == "limit_reached"
        for call in calls:
            call.close()
        wait_until(lambda: answers(x))


def test_bytes_that_are_no_text_are_shown_as_such(executor):
    r = capture(executor, ["printf", "\\377ok"])
    assert r["stdout"] == "\ufffdok"


def test_a_socket_serves_call_after_call(executor):
    with executor.open("exec", argv=["cat"], stdin=True) as call:
        call.eof()
        assert call.result()["exit_code"] == 0
        call.send(b"late")  # what comes between calls is passed over
        call.control(signal="INT")
        for i in range(3):
            call.final = None
            call.frame(REQUEST, json.dumps({"action": "run", "params": {"command": f"echo {i}"}}).encode())
            assert call.result()["output"] == f"{i}\n"


def test_a_socket_ends_with_an_error(executor):
    with executor.open("process_wait", process="p99") as call:
        with pytest.raises(Failed):
            call.result()
        with pytest.raises(Ended):
            call.receive()


def test_an_environment_may_replace_the_sandboxs(executor):
    r = executor.call("exec", argv=["/usr/bin/env"], env={"A": "x"}, env_replaces=True, capture=True)
    assert r["stdout"] == "A=x\n"
    assert executor.call("exec", argv=["env"], env_replaces=True, capture=True)["stdout"] == ""


def test_bytes_that_are_no_text_are_escaped_if_asked(executor):
    r = executor.call("exec", argv=["printf", "a\\377b"], capture=True, invalid="escape")
    assert r["stdout"] == "a\\xffb"
