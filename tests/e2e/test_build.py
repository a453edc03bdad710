# SPDX-License-Identifier: Apache-2.0
"""Images built from Dockerfiles: over Docker's API, OpenHands' API, REST and the command line."""
import base64
import gzip
import io
import json
import os
import subprocess
import tarfile
import tempfile
import threading
import urllib.parse

import pytest
import rootfs
from conftest import PATIENCE, PROGRAMS, Server, UnixConnection, end_server, start_server
from docker_api import error_of, serve_docker
from waiting import wait_until


START_SERVER = serve_docker
ORDINARY = 61239  # not the one whose means other tests use up


@pytest.fixture(scope="module")
def tiny(docker):
    """A small image of its own: a shell and a few programs, nothing of the host's."""
    reply = docker.request("POST", "/v1.43/images/create", rootfs.tar(rootfs.base_files(), ["tmp"]), fromSrc="-", repo="tiny")
    assert reply.status == 200, reply.body
    return "tiny"


def context(dockerfile, files=None, links=None, special=()):
    """A tar of a Dockerfile and of what belongs to it; content may be (content, mode)."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in {"Dockerfile": dockerfile, **(files or {})}.items():
            content, mode = content if isinstance(content, tuple) else (content, 0o644)
            content = content.encode() if isinstance(content, str) else content
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(content), mode
            archive.addfile(info, io.BytesIO(content))
        for name, target in (links or {}).items():
            info = tarfile.TarInfo(name)
            info.type, info.linkname = tarfile.SYMTYPE, target
            archive.addfile(info)
        for info in special:
            archive.addfile(info)
    return buffer.getvalue()


class Build:
    """What POST /build answered."""

    def __init__(self, docker, body, **query):
        self.reply = docker.request("POST", "/v1.43/build?" + urllib.parse.urlencode(query), body,
                                    headers={"Content-Type": "application/x-tar"}, timeout=60)
        self.lines = [json.loads(line) for line in self.reply.body.splitlines()] if self.reply.status == 200 else []
        self.text = "".join(line.get("stream", "") for line in self.lines)
        self.error = next((line["error"] for line in self.lines if "error" in line), None)
        self.detail = next((line["errorDetail"] for line in self.lines if "errorDetail" in line), None)
        self.id = next((line["aux"]["ID"] for line in self.lines if "aux" in line), None)
        if self.reply.status != 200:
            self.error = error_of(self.reply)

    def good(self):
        assert self.reply.status == 200 and not self.error, (self.reply.body, self.error)
        return self


def build(docker, dockerfile, files=None, links=None, special=(), **query):
    return Build(docker, context(dockerfile, files, links, special), **query)


def refused(docker, dockerfile, **more):
    failed = build(docker, dockerfile, **more)
    assert failed.error, failed.text
    return failed.error


def run(docker, image, *command, **body):
    container = docker.start(*command, Image=image, **body)
    code = container.wait()
    out = container.logs()[1]
    container.remove()
    assert code == 0, out
    return out.decode()


def staging(server):
    return [d for d in os.listdir(server.state / "images" / "layers") if d.startswith(("new-", "old-"))]


def sandboxes(server):
    return [s for s in server.request("GET", "/v1/sandboxes").json["sandboxes"] if s["state"] not in ("ended", "failed", "stopped")]


def nothing_is_left(server):
    wait_until(lambda: not staging(server) and not sandboxes(server), "staging and sandboxes of the build are gone")


# ---- what a Dockerfile makes ----

def test_an_image_has_what_its_steps_made_and_says_what_they_said(docker, tiny):
    made = build(docker, f"""FROM {tiny}
ENV GREETING="hello world"
WORKDIR /app
COPY --chmod=755 hello.sh ./
RUN ./hello.sh > made && echo from RUN: $GREETING
LABEL who=me
EXPOSE 80
CMD ["cat", "made"]
""", {"hello.sh": "#!/bin/sh\necho made by $GREETING\n"}, t="first:1").good()
    assert "Step 1/8 : FROM tiny" in made.text and "from RUN: hello world\n" in made.text
    assert "Successfully tagged first:1" in made.text and f"Successfully built {made.id[7:19]}" in made.text
    assert run(docker, "first:1", "cat", "made") == "made by hello world\n"
    config = docker.request("GET", "/v1.43/images/first:1/json").json["Config"]
    assert config["WorkingDir"] == "/app" and config["Cmd"] == ["cat", "made"] and config["Labels"] == {"who": "me"}
    assert config["Env"] == ["GREETING=hello world"] and config["ExposedPorts"] == {"80/tcp": {}}
    history = docker.request("GET", "/v1.43/images/first:1/history").json
    assert history[0]["CreatedBy"] == 'CMD ["cat", "made"]' and history[0]["Id"] == made.id


def test_the_hosts_tools_are_a_base_and_are_not_copied(docker, server):
    made = build(docker, "FROM host\nRUN echo new > /usr/local/bin/new-tool && rm -rf /usr/games && echo etc > /etc/new\n"
                         "RUN cat /usr/local/bin/new-tool && test ! -e /usr/games && python3 -c 'print(6*7)'\n", t="on-host").good()
    assert "new\n42\n" in made.text
    assert run(docker, "on-host", "sh", "-c", "cat /usr/local/bin/new-tool /etc/new; ls -d /usr/games || gcc -dumpversion") \
        .startswith("new\netc\n")
    told = server.request("GET", "/v1/images/on-host").json
    assert told["base"] == "host" and told["size_bytes"] < 4096


def test_a_directory_of_the_machine_is_a_base(docker, tmp_path):
    tmp_path.chmod(0o755)
    for name, content in rootfs.base_files().items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)
        (tmp_path / name).chmod(0o755)
    build(docker, f"FROM {tmp_path}\nRUN echo layer > /made; rm /bin/wc\n", t="on-dir").good()
    assert run(docker, "on-dir", "sh", "-c", "cat /made; test -e /bin/wc || echo gone") == "layer\ngone\n"
    assert (tmp_path / "bin/wc").exists() and not (tmp_path / "made").exists()


def test_scratch_and_stages(docker, tiny):
    files = {name: (content, 0o755) for name, content in rootfs.base_files(("sh", "cat")).items()}
    made = build(docker, f"""FROM {tiny} AS maker
RUN mkdir /out && echo heavy > /out/result && echo waste > /out/waste
FROM maker AS unused
RUN echo never > /never
FROM scratch
COPY bin /bin
COPY lib* /lib/
COPY lib64 /lib64
COPY --from=maker /out/result /result
COPY --from=0 /out /all
CMD ["/bin/cat", "/result"]
""", files, t="scratchy")
    made.good()
    assert run(docker, "scratchy", "/bin/sh", "-c", "cat /result /all/waste") == "heavy\nwaste\n"


def test_a_target_ends_the_build_at_its_stage(docker, tiny):
    text = f"FROM {tiny} AS one\nRUN echo 1 > /n\nFROM {tiny}\nRUN false\n"
    build(docker, text, t="target", target="one").good()
    assert run(docker, "target", "cat", "/n") == "1\n"
    assert "build target nowhere" in refused(docker, f"FROM {tiny}\n", target="nowhere")


def test_arguments_variables_and_their_order(docker, tiny):
    made = build(docker, f"""ARG BASE=nothing
FROM ${{BASE}}
ARG WHO
ARG SIZE=small
ENV WHOLE="${{WHO:-nobody}} is ${{SIZE:+very }}$SIZE" PLAIN='$WHO'
RUN echo "$WHOLE / $PLAIN / $WHO"
""", buildargs=json.dumps({"BASE": tiny, "WHO": "somebody", "UNUSED": "x"})).good()
    assert "somebody is very small / $WHO / somebody\n" in made.text
    assert "[Warning] One or more build-args [UNUSED] were not consumed" in made.text


def test_comments_continued_lines_here_documents_and_another_escape(docker, tiny):
    made = build(docker, f"""# escape=`
# a comment
FROM {tiny}
RUN echo one && `
# between the lines

    echo two
RUN <<EOF
echo three
echo four
EOF
RUN cat <<'END' > /said
$NOT_EXPANDED
END
COPY <<-TEXT /inline
\tinlined
\tTEXT
RUN cat /said /inline
""").good()
    assert "one\ntwo\n" in made.text and "three\nfour\n" in made.text and "$NOT_EXPANDED\ninlined\n" in made.text


def test_copies_follow_dockers_rules(docker, tiny):
    files = {"a.txt": "a", "b.txt": "b", "dir/in": "in", "dir/sub/deep": "deep", "it's \"odd\"": "odd", "c.log": "c"}
    build(docker, f"""FROM {tiny}
COPY a.txt /one
COPY *.txt /two/
COPY dir /three
COPY dir/ a.txt /four/
WORKDIR /five
COPY ["it's \\"odd\\"", "./"]
COPY a.txt /two
COPY ?.log .
""", files, t="copies").good()
    assert run(docker, "copies", "sh", "-c", "cat /one /two/a.txt /two/b.txt /three/in /three/sub/deep /four/in /four/a.txt "
                                           "/five/c.log; cat /five/it*") == "aabindeepinacodd"
    assert "must be a directory and end with a /" in refused(docker, f"FROM {tiny}\nCOPY *.txt /x\n", files=files)
    assert "line 2" in refused(docker, f"FROM {tiny}\nCOPY absent /x\n", files=files)
    assert "fits no file" in refused(docker, f"FROM {tiny}\nCOPY *.none /x/\n", files=files)


def test_add_unpacks_what_is_an_archive(docker, tiny):
    packed = gzip.compress(rootfs.tar({"inside/x": b"unpacked\n"}))
    build(docker, f"FROM {tiny}\nADD packed.tgz plain /to/\nCOPY packed.tgz /kept\n", {"packed.tgz": packed, "plain": "plain\n"},
          t="added").good()
    assert run(docker, "added", "sh", "-c", "cat /to/inside/x /to/plain; head -c2 /kept | wc -c") == "unpacked\nplain\n2\n"


def test_what_is_ignored_is_not_there(docker, tiny):
    files = {".dockerignore": "# none of these\n*.secret\nbuild\n!build/keep\n**/tmp\n", "a.secret": "s", "build/x": "x",
             "build/keep": "k", "src/tmp/y": "y", "src/z": "z"}
    build(docker, f"FROM {tiny}\nCOPY . /all\n", files, t="ignoring").good()
    assert run(docker, "ignoring", "sh", "-c", "cd /all; ls build src; test ! -e a.secret").split() == \
        ["build:", "keep", "src:", "z"]


def test_users_shells_and_entry_points(docker):
    made = build(docker, """FROM host
USER agent
RUN id -u
USER root
SHELL ["/bin/bash", "-c"]
RUN echo ${BASH_VERSION:0:1}x
ENTRYPOINT echo shell form
""", t="entry").good()
    assert "\n1000\n" in made.text and "\n5x\n" in made.text
    assert docker.request("GET", "/v1.43/images/entry/json").json["Config"]["Entrypoint"] == ["/bin/bash", "-c", "echo shell form"]


def test_links_devices_and_owners_of_a_layer(docker, tiny):
    made = build(docker, f"""FROM {tiny}
RUN echo x > /h1; mkdir /d; echo y > /d/old
RUN rm /h1; rm -r /d; mkdir /d; echo z > /d/new
""", t="marks").good()
    assert run(docker, "marks", "sh", "-c", "ls /d; test -e /h1 || echo gone") == "new\ngone\n"
    owned = build(docker, "FROM host\nRUN echo a > /a && ln /a /b && chown 1000 /a && ln -s a /c\n", t="owned").good()
    assert "given to others than root" in owned.text
    given = build(docker, "FROM host\nCOPY --chown=1000:1000 Dockerfile /x\nCOPY --chown=root Dockerfile /y\n", t="given").good()
    assert given.text.count("[Warning]") == 1 and "--chown=1000:1000: in the image they are root's" in given.text
    assert run(docker, "given", "stat", "-c", "%u", "/x") == "0\n"
    assert run(docker, "owned", "stat", "-c", "%u %h", "/a") == "0 2\n" and made.id


# ---- the cache ----

def test_what_was_done_is_found_again(docker, tiny):
    text = f"FROM {tiny}\nCOPY f /f\nRUN cat /f; echo ran\n"
    build(docker, text, {"f": "1"}, t="cached").good()
    again = build(docker, text, {"f": "1"}).good()
    assert again.text.count("Using cache") == 2 and "1ran\n" not in again.text
    assert again.id == docker.request("GET", "/v1.43/images/cached/json").json["Id"]
    other = build(docker, text, {"f": "2"}).good()
    assert "2ran\n" in other.text
    mode = build(docker, text, {"f": ("1", 0o600)}).good()
    assert "Using cache" not in mode.text
    anew = build(docker, text, {"f": "1"}, nocache="1").good()
    assert "1ran\n" in anew.text
    assert build(docker, f"FROM {tiny}\nENV A=1\nCOPY f /f\nRUN cat /f; echo ran\n", {"f": "1"}).good().text.count("Using cache") == 1


def test_pruning_forgets_the_cache(own_server):
    docker = own_server.docker
    text = "FROM host\nRUN echo x > /x; echo ran\n"
    build(docker, text, t="kept").good()
    assert docker.request("DELETE", "/v1.43/images/kept").status == 200
    assert "Using cache" in build(docker, text).good().text
    docker.request("POST", "/v1.43/images/prune")
    assert docker.request("POST", "/v1.43/build/prune").json["SpaceReclaimed"] > 0
    wait_until(lambda: not os.listdir(own_server.state / "images" / "layers"), "no layer is left")
    assert "ran\n" in build(docker, text).good().text


def test_the_cache_and_the_images_outlive_the_server(own_server):
    docker = own_server.docker
    text = "FROM host\nRUN echo x > /x; echo ran\nCMD cat /x\n"
    build(docker, text, t="lasting").good()
    own_server.kill_server()
    assert docker.request("GET", "/_ping").status == 200
    assert run(docker, "lasting", "cat", "/x") == "x\n"
    assert "Using cache" in build(docker, text).good().text


# ---- what goes wrong ----

@pytest.mark.parametrize("text,message", [
    ("", "no instruction"),
    ("FROM host\nFLY away\n", "line 2: unknown instruction: FLY"),
    ("RUN true\n", "line 1: no build stage"),
    ("FROM host\nHEALTHCHECK CMD true\n", "line 2: HEALTHCHECK is not offered"),
    ("FROM host\n\nONBUILD RUN true\n", "line 3: ONBUILD is not offered"),
    ("FROM host\nRUN --mount=type=cache,target=/x true\n", "line 2: --mount of RUN is not offered"),
    ("FROM host\nADD https://example.com/x /x\n", "line 2: ADD of https://example.com/x: only files of the context"),
    ("FROM no-such-image\n", "line 1: pull access denied for no-such-image"),
    ("FROM --platform=linux/riscv64 host\n", "line 1: platform linux/riscv64"),
    ("FROM host\nCOPY ../outside /x\n", "line 2: ../outside leads out of the context"),
    ("FROM host\nCOPY --from=7 / /x\n", "line 2: there is no stage 7"),
    ("FROM host\nRUN <<EOF\ntrue\n", "line 2: the here-document EOF has no end"),
    ("FROM host\nSHELL bash\n", "line 2: SHELL takes a JSON array"),
    ("FROM host\nENV ${x\n", "line 2"),
    ("FROM host\nUSER nobody-knows-them\nRUN true\n", "line 3"),
    ("FROM host\nRUN --network=host true\n", "line 2: --network=host was not allowed"),
])
def test_mistakes_are_told_with_their_line(docker, text, message):
    assert message in refused(docker, text)


def test_a_command_that_fails_tells_its_code(docker, server, tiny):
    failed = build(docker, f"FROM {tiny}\nRUN echo before; exit 7\nRUN echo never\n")
    assert failed.detail["code"] == 7 and "before\n" in failed.text and "never\n" not in failed.text
    assert "returned a non-zero code: 7" in failed.error
    nothing_is_left(server)


def test_what_is_not_docker_s_classic_builder_is_refused(docker):
    body = context("FROM host\n")
    for query, status in ({"version": "2"}, 501), ({"remote": "https://example.com/x.git"}, 501), ({"squash": "1"}, 501), \
            ({"platform": "windows/amd64"}, 501), ({"networkmode": "container:x"}, 501), ({"t": "bad name"}, 400), \
            ({"buildargs": "[1]"}, 400), ({"memory": "lots"}, 400), ({"dockerfile": "../x"}, 400), ({"dockerfile": "no"}, 400):
        assert Build(docker, body, **query).reply.status == status, query


def test_a_step_has_no_network_unless_it_was_asked_for(docker):
    text = "FROM host\nRUN echo; grep -v lo: /proc/net/dev | grep : || echo is alone >&2\n"
    assert "\nis alone\n" in build(docker, text).good().text
    assert "\nis alone\n" not in build(docker, text, networkmode="host").good().text


def test_a_step_runs_with_the_locks_on(docker):
    made = build(docker, "FROM host\nRUN grep -E 'NoNewPrivs|Seccomp:' /proc/self/status; unshare -U true || echo no namespaces\n"
                         "RUN mount -t tmpfs x /mnt || echo no mounts\nRUN mknod /n c 1 3 || echo no devices\n"
                         "RUN ls -A /proc/1/root 2>&1 || echo no keeper\n").good()
    assert "NoNewPrivs:\t1" in made.text and "Seccomp:\t2" in made.text
    for text in "no namespaces", "no mounts", "no devices", "no keeper":
        assert text in made.text


def test_nothing_inside_finds_a_way_to_the_layer(docker):
    made = build(docker, "FROM host\nRUN echo mark > /mark\nRUN echo x > /needle-x; find / -xdev -name needle-x 2>/dev/null; "
                         "grep -c . /proc/self/mountinfo; ls -l /proc/self/fd /proc/1/fd 2>/dev/null | grep upper || echo none\n")
    assert made.good().text.count("/needle-x\n") == 1 and "none\n" in made.text


@pytest.mark.parametrize("name,links,special", [
    ("absolute", {"out": "/etc/passwd"}, ()),
    ("above", {"out": "../../../../../../etc/passwd"}, ()),
    ("directory", {"out": "/etc"}, ()),
])
def test_a_link_that_leads_out_of_the_context_gives_nothing_of_the_machine(docker, server, tiny, name, links, special):
    error = refused(docker, f"FROM {tiny}\nCOPY out /out\n", links=links)
    assert "line 2" in error
    kept = build(docker, f"FROM {tiny}\nCOPY . /all\n", links=links, t="link").good()
    assert kept.id and run(docker, "link", "sh", "-c", "test -L /all/out || test ! -e /all/out; echo just a link") == "just a link\n"


def special(name, kind, **more):
    info = tarfile.TarInfo(name)
    info.type = kind
    for key, value in more.items():
        setattr(info, key, value)
    return info


@pytest.mark.parametrize("entry", [
    special("null", tarfile.CHRTYPE, devmajor=1, devminor=3),
    special("disk", tarfile.BLKTYPE, devmajor=8, devminor=0),
    special("pipe", tarfile.FIFOTYPE),
    special("hard", tarfile.LNKTYPE, linkname="/etc/shadow"),
    special("../escaped", tarfile.REGTYPE),
    special("/absolute", tarfile.REGTYPE),
])
def test_a_hostile_context_is_refused_and_leaves_nothing(docker, server, entry):
    failed = build(docker, "FROM host\nCOPY . /x\n", special=[entry])
    assert failed.reply.status in (400, 403, 409, 500), failed.text
    nothing_is_left(server)


def test_a_bomb_stops_at_its_limit(server):
    zeros = gzip.compress(context("FROM host\n", {"zeros": bytes(64 << 20)}))
    assert len(zeros) < 1 << 20
    reply = server.request("POST", "/v1/builds?max_bytes=10000000", zeros, timeout=60)
    assert reply.status >= 400 and "10000000" in reply.json["error"]["message"]
    reply = server.request("POST", "/v1/builds?max_bytes=10000000", context("FROM host\nRUN head -c 60000000 /dev/zero > /big\n"),
                           timeout=60)
    assert reply.status >= 400 and "line 2" in reply.json["error"]["message"]
    reply = server.request("POST", "/v1/builds?disk_bytes=10000000", context("FROM host\nRUN head -c 60000000 /dev/zero > /big\n"),
                           timeout=60)
    assert reply.status == 500 and "non-zero code" in reply.json["error"]["message"]
    nothing_is_left(server)


def test_a_build_has_a_deadline(server):
    reply = server.request("POST", "/v1/builds?timeout_ms=1500", context("FROM host\nRUN sleep 1000\n"), timeout=60)
    assert reply.status == 504, reply.body
    nothing_is_left(server)


def test_a_client_that_leaves_takes_its_build_along(docker, server):
    connection, response = start_build(docker, "FROM host\nRUN echo begun; sleep 1000\n")
    while b"begun" not in response.readline():
        pass
    connection.close()
    nothing_is_left(server)


def start_build(docker, text):
    """The answer while it comes."""
    connection = UnixConnection(docker.path, PATIENCE)
    connection.request("POST", "/v1.43/build", context(text), {"Content-Type": "application/x-tar"})
    return connection, connection.getresponse()


def test_a_client_that_leaves_in_the_middle_of_its_context_leaves_nothing(docker, server):
    connection = UnixConnection(docker.path, PATIENCE)
    connection.putrequest("POST", "/v1.43/build")
    connection.putheader("Content-Length", "1000000")
    connection.endheaders(context("FROM host\n", {"big": bytes(200000)}))
    wait_until(lambda: staging(server), "the context is being taken in")
    connection.close()
    nothing_is_left(server)


def test_two_builds_at_once_do_not_mix(docker):
    results = {}

    def one(name):
        results[name] = build(docker, f"FROM host\nCOPY f /f\nRUN for i in 1 2 3; do cat /f; done; echo {name} > /name\n",
                              {"f": f"I am {name}\n"}, t=name)

    threads = [threading.Thread(target=one, args=(f"at-once-{i}",)) for i in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for name, result in results.items():
        assert result.good().text.count(f"I am {name}\n") == 3
        assert run(docker, name, "cat", "/f", "/name") == f"I am {name}\n{name}\n"


def test_more_builds_than_there_are_hands_are_refused(docker, server):
    held = [start_build(docker, f"FROM host\nRUN echo begun {i}; sleep 1000\n") for i in range(4)]
    for _, response in held:
        while b"begun" not in response.readline():
            pass
    failed = build(docker, "FROM host\n")
    assert failed.reply.status == 429 and "wait for one" in failed.error
    for connection, _ in held:
        connection.close()
    nothing_is_left(server)


def test_kill_9_in_the_middle_of_a_build_leaves_no_staging(own_server):
    docker = own_server.docker
    connection, response = start_build(docker, "FROM host\nCOPY Dockerfile /x\nRUN echo begun; sleep 1000\n")
    while b"begun" not in response.readline():
        pass
    assert staging(own_server)
    own_server.kill_server()
    connection.close()
    assert docker.request("GET", "/_ping").status == 200
    nothing_is_left(own_server)
    assert "begun\n" in build(docker, "FROM host\nRUN echo begun\n").good().text


@pytest.mark.skipif(os.geteuid() != 0, reason="all other tests are by an ordinary user then")
def test_an_ordinary_user_builds_and_runs_what_was_built():
    directory = tempfile.mkdtemp(prefix="cay-e2e-")
    os.chown(directory, ORDINARY, ORDINARY)
    server = Server(directory, prefix=["setpriv", f"--reuid={ORDINARY}", f"--regid={ORDINARY}", "--clear-groups"])
    try:
        text = "FROM host AS maker\nCOPY f /made/f\nRUN cat /made/f; id -u; rm -rf /usr/games; echo more >> /made/f\n" \
               "FROM host\nWORKDIR /there\nCOPY --from=maker /made /copied\n"
        for _ in range(2):  # the second time out of the cache
            reply = server.request("POST", "/v1/builds?tags=user:1", context(text, {"f": "by a user\n"}), timeout=60)
            assert reply.status == 201, reply.body
        box = server.create(image="user:1")
        assert box.output("cat /copied/f; test -w /copied/f && pwd") == "by a user\nmore\n/there\n"
        box.delete()
        failed = server.request("POST", "/v1/builds", context("FROM host\nRUN exit 3\n"), timeout=60)
        assert "non-zero code: 3" in failed.json["error"]["message"]
        nothing_is_left(server)
    finally:
        end_server(server)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to mount a small file system")
def test_a_full_disk_fails_the_build_and_leaves_room(server_with_small_disk):
    server = server_with_small_disk
    for text, files in ("FROM host\nRUN head -c 9000000 /dev/urandom > /big\n", {}), ("FROM host\nCOPY big /big\n", {"big": os.urandom(9000000)}):
        reply = server.request("POST", "/v1/builds?tags=full:1", context(text, files), timeout=60)
        assert reply.status >= 400 and "No space left" in reply.json["error"]["message"], reply.body
        nothing_is_left(server)
    reply = server.request("POST", "/v1/builds?tags=small:1", context("FROM host\nRUN echo small > /small\n"), timeout=60)
    assert reply.status == 201, reply.body
    box = server.create(image="small:1")
    assert box.output("cat /small") == "small\n"
    box.delete()
    assert server.request("GET", "/v1/images/full:1").status == 404


def test_two_builds_of_one_text_at_once_give_one_image(docker, tiny):
    text, made = f"FROM {tiny}\nRUN sleep 0.5; echo same > /same\nRUN echo also > /also\n", []
    threads = [threading.Thread(target=lambda i=i: made.append(build(docker, text, t=f"same:{i}").good())) for i in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for i in range(2):
        assert run(docker, f"same:{i}", "cat", "/same", "/also") == "same\nalso\n"


def test_what_a_failed_build_has_done_is_not_done_again(docker, server, tiny):
    good = f"FROM {tiny}\nRUN echo costly > /costly\n"
    assert "non-zero code: 5" in refused(docker, good + "RUN exit 5\n")
    mended = build(docker, good + "RUN cat /costly\n").good()
    assert mended.text.count("Using cache") == 1 and "costly\n" in mended.text
    nothing_is_left(server)


@pytest.mark.parametrize("leave", ["the client goes", "kill -9 of the server"])
def test_a_build_that_an_engine_does_ends_with_who_wanted_it(own_server, leave):
    near = start_server("--backend", f"docker={own_server.docker.path}")
    try:
        stream = near.connection()
        stream.request("POST", "/v1/builds", context("FROM host\nRUN echo begun; sleep 1000\n"),
                       near.headers("", {"Accept": "text/event-stream"}))
        response = stream.getresponse()
        while b"begun" not in response.readline():
            pass
        assert sandboxes(own_server)
        if leave == "the client goes":
            stream.close()
            response.close()
        else:
            near.kill_server()
        nothing_is_left(own_server)
    finally:
        end_server(near)


# ---- other ways in ----

def test_rest_gives_the_image_or_a_stream(server):
    path = "/v1/builds?" + urllib.parse.urlencode({"tags": "rest:1,rest:2", "labels": json.dumps({"a": "b"})})
    reply = server.request("POST", path, context("FROM host\nRUN echo said\n"))
    assert reply.status == 201 and set(reply.json["names"]) == {"rest:1", "rest:2"}
    assert reply.json["config"]["Labels"] == {"a": "b"}
    reply = server.request("POST", "/v1/builds", context("FROM host\nRUN echo streamed; exit 3\n"),
                           headers={"Accept": "text/event-stream"})
    assert b"streamed" in reply.body and b"event: error" in reply.body and b"build_failed" in reply.body
    assert server.request("POST", "/v1/builds?network=wild", context("FROM host\n")).status == 400


def test_a_base_and_commands_are_built_once_under_names_that_tell_them(server):
    path = "/v1/builds?" + urllib.parse.urlencode({"base": "host", "extras": json.dumps(["echo 'it is' > /added", "cat /added"])})
    first = server.request("POST", path, b"")
    assert first.status == 201, first.body
    names = sorted(first.json["names"])
    assert names[0].startswith("cay/extended:cay_v") and any(name.endswith("_host") for name in names) and len(names) == 2
    assert server.request("POST", path, b"").json["id"] == first.json["id"]
    other = server.request("POST", path.replace("it+is", "it+was"), b"").json
    assert other["id"] != first.json["id"] and len(other["names"]) == 2
    box = server.create(image=next(n for n in names if not n.endswith("_host")))
    assert box.output("cat /added").strip() == "it is"
    box.request("DELETE")


def form(fields, archive):
    """multipart/form-data as OpenHands' builder sends it."""
    boundary = "xxBOUNDARYxx"
    parts = [f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode() for name, value in fields]
    parts.append(f'--{boundary}\r\nContent-Disposition: form-data; name="context"; filename="context.tar.gz"\r\n'
                 "Content-Type: application/octet-stream\r\n\r\n".encode() + base64.b64encode(archive) + b"\r\n")
    return b"".join(parts) + f"--{boundary}--\r\n".encode(), f"multipart/form-data; boundary={boundary}"


def openhands_build(server, fields, archive):
    body, kind = form(fields, archive)
    return server.request("POST", "/build", body, token=None, headers={"X-API-Key": server.token, "Content-Type": kind})


def build_status(server, build_id):
    return server.request("GET", f"/build_status?build_id={build_id}", token=None, headers={"X-API-Key": server.token})


def test_openhands_builds_with_a_form_and_asks_until_it_is_done(server):
    archive = gzip.compress(context("FROM host\nCOPY code /openhands/code\nRUN ls /openhands/code\n", {"code/x.py": "x"}))
    fields = [("target_image", "cay.local/oh/runtime:oh_v1"), ("tags", "cay.local/oh/runtime:oh_v1"), ("tags", "cay.local/oh/runtime:lock")]
    reply = openhands_build(server, fields, archive)
    assert reply.status == 200, reply.body
    build_id = reply.json["build_id"]
    wait_until(lambda: build_status(server, build_id).json["status"] != "WORKING", "the build is over")
    assert build_status(server, build_id).json == {"build_id": build_id, "status": "SUCCESS", "image": "cay.local/oh/runtime:oh_v1"}
    for tag in "oh_v1", "lock":
        exists = server.request("GET", f"/image_exists?image=cay.local/oh/runtime:{tag}", token=None,
                                headers={"X-API-Key": server.token}).json
        assert exists["exists"] and exists["image"]["image_size_bytes"] > 0


def test_openhands_is_told_why_a_build_failed(server):
    reply = openhands_build(server, [("target_image", "x:1")], gzip.compress(context("FROM host\nRUN exit 9\n")))
    build_id = reply.json["build_id"]
    wait_until(lambda: build_status(server, build_id).json["status"] != "WORKING", "the build is over")
    told = build_status(server, build_id).json
    assert told["status"] == "FAILURE" and "non-zero code: 9" in told["error"]
    assert build_status(server, "nobody").status == 404
    assert openhands_build(server, [], b"").status == 400
    assert openhands_build(server, [("target_image", "bad name")], b"").status == 400
    body, kind = form([("target_image", "x")], b"")
    cut = server.request("POST", "/build", body[:-20], token=None, headers={"X-API-Key": server.token, "Content-Type": kind})
    assert cut.status == 400
    nothing_is_left(server)


def test_the_command_line_builds(server, tmp_path):
    env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "CAY_URL": f"unix:{server.socket}", "CAY_TOKEN": server.token,
           "WHO": "environment"}

    def cay(*args, code=0, stdin=""):
        done = subprocess.run([PROGRAMS / "cay", "image", *map(str, args)], env=env, capture_output=True, text=True, timeout=60,
                              input=stdin, check=False)
        assert done.returncode == code, (done.stdout, done.stderr)
        return done

    home = tmp_path / "project"
    (home / "ignored").mkdir(parents=True)
    (home / "Dockerfile").write_text("FROM host\nARG WHO\nCOPY . /all\nRUN echo $WHO; ls -A /all\n")
    (home / ".dockerignore").write_text("ignored\nDockerfile\n")
    (home / "ignored" / "huge").write_bytes(bytes(1 << 20))
    (home / "kept").write_text("x")
    done = cay("build", "-t", "by-cli", "--build-arg", "WHO", home)
    assert len(done.stdout.strip()) == 64 and "environment\n" in done.stderr and "kept" in done.stderr
    assert "ignored\n" not in done.stderr.split("RUN echo")[1]
    assert json.loads(cay("build", "-q", "--json", home).stdout)["base"] == "host"
    assert "hidden\n" in cay("build", "-f", "-", home, stdin="FROM host\nRUN echo hidden\n").stderr
    failed = cay("build", home, "-f", "-", stdin="FROM host\nRUN exit 4\n", code=18)
    assert "line 2: The command '/bin/sh -c exit 4' returned a non-zero code: 4" in failed.stderr
    cay("build", home / "nowhere", code=5)
    assert cay("extend", "host", "--extra", "echo hi > /hi").stdout == cay("extend", "host", "--extra", "echo hi > /hi").stdout
    cay("cache-clear")


def test_a_step_with_the_proxy_reaches_what_is_allowed_and_nothing_else(server):
    reply = server.request("POST", "/v1/builds?network=proxy&allow=example.com", context(
        "FROM host\nRUN bash -c 'echo > /dev/tcp/192.0.2.1/80' 2>/dev/null && echo reached || echo refused\n"),
        headers={"Accept": "text/event-stream"})
    assert b"refused" in reply.body and b"event: result" in reply.body, reply.body


def test_a_kept_file_has_its_mode_but_no_set_id_bit(docker):
    build(docker, "FROM host\nRUN cp /bin/true /suid && chmod 4755 /suid && chmod 750 /tmp/. ; touch /private && chmod 600 /private\n",
          t="modes").good()
    modes = run(docker, "modes", "stat", "-c", "%a", "/suid", "/private").split()
    assert [int(m, 8) for m in modes] == [0o755, 0o600]
