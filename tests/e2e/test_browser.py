# SPDX-License-Identifier: Apache-2.0
"""A browser in a sandbox, on small pages that are served in the sandbox itself."""
import base64
import json
import os
import pathlib
import re
import shutil
import struct
import subprocess
import tempfile
import threading
import time

import pytest
from conftest import PROGRAMS
from waiting import PATIENCE

CHROMIUM = next((p for p in ("/usr/lib/chromium/chromium", shutil.which("chromium")) if p and os.path.exists(p)), None)
pytestmark = pytest.mark.skipif(not CHROMIUM, reason="chromium is not installed")
PORT = 18000

PAGES = {
    "index.html": """<!doctype html><title>Start</title><h1>Welcome</h1>
<p>Go to <a href="form.html">the form</a> or <a href="two.html" target="_blank">a new tab</a>.</p>
<ul><li>one<li>two</ul><div style="display:none">never seen</div>""",
    "two.html": "<!doctype html><title>Two</title><h1>Page two</h1>",
    "form.html": """<!doctype html><title>Form</title>
<label>Text <input id=t></label><textarea placeholder="Enter message"></textarea>
<select><option value=a>Alpha<option value=b>Beta<option value=c>Gamma</select>
<select multiple><option>x<option>y<option>z</select>
<input type=checkbox aria-label=Agree><input type=number aria-label=Age><input type=date aria-label=Day>
<input aria-label=Locked readonly value=fixed><div contenteditable aria-label=Rich role=textbox>old</div>
<button onclick="say('Button clicked!')" ondblclick="say('Twice!')">Test Button</button>
<button onclick="setTimeout(()=>say('late'),30)">Later</button><p id=out></p>
<p onmouseover="say('over')" role=note>Hover here</p>
<script>function say(s){document.getElementById('out').textContent=s}
document.getElementById('t').addEventListener('keydown',e=>say('key '+e.key+' '+e.ctrlKey))</script>""",
    "frames.html": """<!doctype html><title>Frames</title><iframe src="inner.html" title=First></iframe>
<iframe srcdoc="<button>Second</button>"></iframe><div id=host></div>
<script>document.getElementById('host').attachShadow({mode:'open'}).innerHTML='<button>Shadow</button>'</script>""",
    "inner.html": "<title>Inner</title><input aria-label=Inside><iframe srcdoc='<button>Deep</button>'></iframe>",
    "dialogs.html": """<!doctype html><title>Dialogs</title><p id=out>nothing</p>
<button onclick="alert('hello');out.textContent='alerted'">A</button>
<button onclick="out.textContent='confirmed '+confirm('sure?')">C</button>
<button onclick="out.textContent='prompted '+prompt('who?')">P</button>""",
    "upload.html": """<!doctype html><title>Upload</title><input type=file id=f aria-label=Pick>
<input type=file multiple id=g aria-label=Many><button onclick="f.click()">Choose</button><p id=out></p>
<script>for(const e of [f,g])e.onchange=async()=>out.textContent=
(await Promise.all([...e.files].map(async x=>x.name+'='+await x.text()))).join(' ')</script>""",
    "download.html": '<!doctype html><title>Download</title><a href="report.bin" download>Get it</a>',
    "drag.html": """<!doctype html><title>Drag</title><style>div{width:120px;height:60px;margin:30px;background:#cde}</style>
<div id=a draggable=true role=button aria-label=from>from</div><div id=b role=button aria-label=to>to</div><p id=out></p>
<script>a.ondragstart=e=>e.dataTransfer.setData('text/plain','cargo');b.ondragover=e=>e.preventDefault();
b.ondrop=e=>{e.preventDefault();out.textContent='dropped '+e.dataTransfer.getData('text/plain')}</script>""",
    "long.html": "<!doctype html><title>Long</title>" + "<p>line</p>" * 300 + "<button>Bottom</button>",
    "hang.html": "<!doctype html><title>Hang</title><button onclick='for(;;);'>Hang</button>",
    "spawn.html": "<!doctype html><title>Spawn</title><script>for(let i=0;i<100;i++)open('two.html')</script>",
}


class Browser:
    def __init__(self, box):
        self.box = box
        for name, text in PAGES.items():
            box.action("write", path=f"/workspace/{name}", content=text)
        box.put_file("/workspace/report.bin", b"%PDF-1.4 not really")
        box.action("exec", argv=["python3", "-m", "http.server", str(PORT), "--bind", "127.0.0.1"], detach=True)
        box.run(f"until (exec 3<>/dev/tcp/127.0.0.1/{PORT}) 2>/dev/null; do sleep 0.05; done")
        self.last = None

    def step(self, **params):
        reply = self.box.request("POST", "/actions/browse", params, timeout=PATIENCE)
        assert reply.status == 200, reply.body
        self.last = reply.json
        return self.last

    def goto(self, page, **params):
        result = self.step(url=f"http://localhost:{PORT}/{page}", **params)
        assert result["error"] == ""
        return result

    def do(self, program, **params):
        return self.step(program=program, **{"parts": ["axtree"], **params})

    def ok(self, program):
        result = self.do(program)
        assert result["error"] == "", result["error"]
        return result

    def bid(self, text):
        """Of the first element of the last tree whose line holds the text."""
        for line in self.last["axtree"].split("\n"):
            found = re.match(r"\t*\[(\w+)\]", line)
            if found and text in line:
                return found[1]
        raise AssertionError(f"{text!r} is not in {self.last['axtree']}")

    def line(self, text):
        return next(line.strip() for line in self.last["axtree"].split("\n") if text in line)

    def pids(self):
        """Every process of the browser, as the sandbox sees them."""
        return self.box.output("for p in /proc/[0-9]*; do case $(cat $p/cmdline 2>/dev/null | tr '\\0' ' ') in "
                               "*chromium/chromium*) echo ${p#/proc/};; esac; done").split()


@pytest.fixture(scope="module")
def browser(server):
    box = server.create()
    yield Browser(box)
    box.delete()


@pytest.fixture
def fresh(server):
    """A sandbox whose browser may be killed."""
    box = server.create()
    yield Browser(box)
    box.delete()


def png_size(text):
    data = base64.b64decode(text)
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    return struct.unpack(">II", data[16:24])


def test_a_page_is_shown_as_tree_markdown_and_pictures(browser):
    seen = browser.goto("index.html")
    assert seen["url"] == f"http://localhost:{PORT}/index.html" and seen["title"] == "Start"
    assert seen["pages"] == [seen["url"]] and seen["active"] == 0
    tree = seen["axtree"].split("\n")
    assert tree[0] == f"RootWebArea 'Start', focused, url='{seen['url']}'"
    assert any(re.fullmatch(r"\t\[\d+\] heading 'Welcome'", line) for line in tree)
    assert any(re.fullmatch(r"\t\t\[\d+\] link 'the form', clickable, url='http.*/form.html'", line) for line in tree)
    assert seen["content"] == ("# Welcome\n\nGo to [the form](form.html) or [a new tab](two.html).\n\n"
                               "  * one\n  * two")
    assert png_size(seen["screenshot"]) == png_size(seen["marks"]) == (1280, 720)
    assert seen["screenshot"] != seen["marks"] and seen["truncated"] == []


def test_only_what_is_asked_for_is_looked_at(browser):
    seen = browser.step(parts=["elements", "axtree_object"], width=800, height=600)
    assert not {"axtree", "content", "screenshot", "marks"} & set(seen)
    assert all(node["nodeId"] for node in seen["axtree_object"]["nodes"])
    links = [n["browsergym_id"] for n in seen["axtree_object"]["nodes"] if n["role"]["value"] == "link"]
    for bid in links:
        element = seen["elements"][bid]
        assert element["clickable"] and element["set_of_marks"] and element["visibility"] == 1
        assert len(element["bbox"]) == 4
    assert png_size(browser.step(parts=["screenshot"], width=800, height=600)["screenshot"]) == (800, 600)


def test_a_form_is_filled_key_by_key_and_at_once(browser):
    browser.goto("form.html")
    text, message = browser.bid("'Text'"), browser.bid("Enter message")
    browser.ok(f"fill('{text}', 'It\\'s') fill('{message}', 'two\\nlines')")
    assert "value=\"It's\"" in browser.line("textbox 'Text'")
    assert "value='two\\nlines'" in browser.line("Enter message")
    browser.ok(f"press('{text}', 'End') press('{text}', 'Shift+x') type('{text}', ' ö1!')")
    assert "value=\"It'sX ö1!\"" in browser.line("textbox 'Text'")
    browser.ok(f"press('{text}', 'Control+a') press('{text}', 'Backspace')")
    assert "value" not in browser.line("textbox 'Text'")
    assert browser.last["focused"] == text
    assert "key Backspace false" in browser.last["axtree"]
    browser.ok(f"fill('{text}', 'x') clear('{text}')")
    assert "value" not in browser.line("textbox 'Text'")
    browser.ok(f"fill('{browser.bid('Age')}', '42') fill('{browser.bid('Day')}', '2026-02-03')"
               f"fill('{browser.bid('Rich')}', 'new text')")
    assert "value=42" in browser.line("Age") and "2026" in browser.line("Day")
    assert "new text" in browser.last["axtree"] and "old" not in browser.last["axtree"]


def test_what_cannot_be_filled_says_why(browser):
    browser.goto("form.html")
    for name, text, why in (("Locked", "x", "read-only"), ("Age", "many", "input[type=number]"),
                            ("Day", "tomorrow", "Malformed value"), ("Test Button", "x", "not an <input>"),
                            ("Agree", "x", "cannot be filled")):
        assert why in browser.do(f"fill('{browser.bid(name)}', '{text}')")["error"], name


def test_options_are_selected_by_value_or_label(browser):
    browser.goto("form.html")
    one = browser.bid("combobox")
    browser.ok(f"select_option('{one}', 'Beta')")
    assert "value='Beta'" in browser.line("combobox")
    browser.ok(f"select_option('{one}', 'c')")
    assert "value='Gamma'" in browser.line("combobox")
    many = browser.bid("listbox")
    browser.ok(f"select_option('{many}', ['x', 'z'])")
    assert browser.last["axtree"].count("selected=True") == 3
    assert browser.do(f"select_option('{one}', 'nothing')")["error"].startswith("TimeoutError: ")
    assert "not a <select>" in browser.do(f"select_option('{browser.bid('Agree')}', 'a')")["error"]


def test_the_mouse_clicks_hovers_and_scrolls(browser):
    browser.goto("form.html")
    browser.ok(f"click('{browser.bid('Test Button')}')")
    assert "Button clicked!" in browser.last["axtree"]
    browser.ok(f"dblclick('{browser.bid('Test Button')}')")
    assert "Twice!" in browser.last["axtree"]
    browser.ok(f"hover('{browser.bid('note')}')")
    assert "StaticText 'over'" in browser.last["axtree"]
    browser.ok(f"click('{browser.bid('Agree')}')")
    assert "checked='true'" in browser.line("Agree")
    browser.ok(f"click('{browser.bid('Later')}')")
    assert "StaticText 'late'" in browser.last["axtree"]  # what a click sets going is waited for
    browser.goto("long.html")
    before = browser.do("noop(1)", parts=["elements"])["elements"]["3"]["bbox"][1]
    after = browser.do("scroll(0, 150.5)", parts=["elements"])["elements"]["3"]["bbox"][1]
    assert before - after == pytest.approx(150, abs=1)
    browser.do("noop(1)")
    browser.ok(f"click('{browser.bid('Bottom')}')")  # scrolled to


def test_frames_and_shadow_trees_have_bids_that_stay(browser):
    browser.goto("frames.html")
    inside, second, shadow = browser.bid("Inside"), browser.bid("Second"), browser.bid("Shadow")
    assert re.fullmatch(r"a\d+", inside) and re.fullmatch(r"b\d+", second) and shadow.isdigit()
    assert re.fullmatch(r"aa\d+", browser.bid("Deep"))
    browser.ok(f"fill('{inside}', 'in a frame')")
    assert "value='in a frame'" in browser.line("Inside") and browser.bid("Inside") == inside
    assert browser.last["focused"] == inside
    browser.ok(f"click('{shadow}') click('{second}')")
    assert browser.last["focused"] == second
    browser.goto("two.html")
    assert browser.do(f"click('{inside}')")["error"] == f'ValueError: Could not find element with bid "{inside}"'


def test_history_and_tabs(browser):
    browser.goto("index.html")
    browser.ok(f"click('{browser.bid('the form')}')")
    assert browser.last["url"].endswith("/form.html")
    assert browser.ok("go_back()")["url"].endswith("/index.html")
    assert browser.ok("go_forward()")["url"].endswith("/form.html")
    assert browser.ok("go_forward()")["url"].endswith("/form.html")  # nothing is behind it
    browser.ok("go_back()")
    browser.ok(f"click('{browser.bid('a new tab')}')")
    assert browser.last["active"] == 1 and browser.last["pages"][1].endswith("/two.html")
    assert "Page two" in browser.last["axtree"]
    assert browser.ok("tab_focus(0)")["active"] == 0
    assert browser.do("tab_focus(7)")["error"] == "IndexError: list index out of range"
    assert browser.ok(f"new_tab() goto('http://localhost:{PORT}/two.html')")["active"] == 2
    assert browser.ok("tab_focus(-1)")["active"] == 2
    for left in (2, 1):
        assert len(browser.ok("tab_close()")["pages"]) == left
    assert browser.ok("tab_close()")["pages"] == ["about:blank"]  # never without a tab


def test_dialogs_are_answered_and_told(browser):
    browser.goto("dialogs.html")
    browser.ok(f"click('{browser.bid(chr(39) + 'A' + chr(39))}')")
    assert browser.last["dialogs"] == [{"type": "alert", "message": "hello", "accepted": True}]
    assert "alerted" in browser.last["axtree"]
    browser.ok(f"click('{browser.bid(chr(39) + 'C' + chr(39))}')")
    assert browser.last["dialogs"][0]["accepted"] is False and "confirmed false" in browser.last["axtree"]
    browser.ok(f"click('{browser.bid(chr(39) + 'P' + chr(39))}')")
    assert browser.last["dialogs"][0]["type"] == "prompt" and "prompted null" in browser.last["axtree"]


def test_files_are_uploaded(browser):
    browser.box.action("write", path="/workspace/one.txt", content="first")
    browser.box.action("write", path="/workspace/two.txt", content="second")
    browser.goto("upload.html")
    browser.ok(f"upload_file('{browser.bid('Pick')}', '/workspace/one.txt')")
    assert "one.txt=first" in browser.last["axtree"] and "one.txt" in browser.line("Pick")
    browser.ok(f"upload_file('{browser.bid('Many')}', ['one.txt', 'two.txt'])")
    assert "one.txt=first two.txt=second" in browser.last["axtree"]
    browser.ok(f"upload_file('{browser.bid('Choose')}', 'two.txt')")  # a button that asks for a file
    assert "two.txt=second" in browser.last["axtree"]
    wrong = browser.do(f"upload_file('{browser.bid('Pick')}', '/workspace/none.txt')")["error"]
    assert wrong == "FileNotFoundError: [Errno 2] No such file or directory: '/workspace/none.txt'"


def test_downloads_are_kept_and_told(browser):
    browser.goto("download.html")
    browser.ok(f"click('{browser.bid('Get it')}')")
    download, = browser.last["downloads"]
    assert download["state"] == "completed" and download["path"] == "/workspace/.downloads/report.bin"
    assert browser.box.get_file(download["path"]).body == b"%PDF-1.4 not really"
    failed = browser.do(f"goto('http://localhost:{PORT}/report.bin')")
    assert failed["error"].startswith("Error: Page.goto: Download is starting")
    assert failed["downloads"][0]["state"] == "completed"


def test_things_are_dragged(browser):
    browser.goto("drag.html")
    browser.ok(f"drag_and_drop('{browser.bid('from')}', '{browser.bid(chr(39) + 'to' + chr(39))}')")
    assert "dropped cargo" in browser.last["axtree"]


def test_a_program_stops_at_its_first_failure(browser):
    browser.goto("form.html")
    text = browser.bid("'Text'")
    result = browser.do(f"I will do this: fill('{text}', 'a') # fill('{text}', 'no')\nclick('9999') fill('{text}', 'b')")
    assert result["error"] == 'ValueError: Could not find element with bid "9999"'
    assert "value='a'" in browser.line("textbox 'Text'")
    for program, error in (
            ("", "ValueError: Received an empty action."),
            ("just words", "ValueError: Received an empty action."),
            (f"fill('{text}', 'c') explode(1)", "NameError: Invalid action type 'explode'."),
            ("click()", "TypeError: click() missing 1 required positional argument: 'bid'"),
            ("click('1', colour='red')", "TypeError: click() got an unexpected keyword argument 'colour'"),
            ("click('1', bid='2')", "TypeError: click() got multiple values for argument 'bid'"),
            ("go_back(1)", "TypeError: go_back() takes 0 positional arguments but more were given"),
            ("click(1)", "ValueError: click(): the argument 'bid' has the wrong type"),
            (f"click('{text}', button='fourth')", "Error: Locator.click: button: expected one of (left|right|middle)"),
            (f"press('{text}', 'Hyper+x')", 'Error: Locator.press: Unknown key: "Hyper"')):
        assert browser.do(program)["error"] == error
    assert "value='a'" in browser.line("textbox 'Text'")  # nothing of a wrong program is performed


def test_messages_are_told(browser):
    result = browser.ok("send_msg_to_user('Found it') report_infeasible(\"no such field\")")
    assert result["messages"] == [{"kind": "message", "text": "Found it"},
                                  {"kind": "infeasible", "text": "no such field"}]


def test_what_is_not_open_to_agents_is_refused(browser):
    for url in ("chrome://version", "view-source:http://localhost/", "javascript:alert(1)", "devtools://devtools/"):
        assert "only http, https, file, data and about:blank are open" in browser.step(url=url, parts=[])["error"], url
    browser.box.action("write", path="/workspace/own.html", content="<h1>My own file</h1>")
    assert "My own file" in browser.step(url="file:///workspace/own.html")["content"]
    assert "root:" in browser.step(url="file:///etc/passwd")["content"]  # the sandbox's
    assert browser.step(url="http://localhost:9/")["error"].startswith("Error: Page.goto: net::ERR_")
    assert browser.step(url="http://no.such.name.invalid/")["error"].startswith("Error: Page.goto: net::ERR_")


def test_a_page_that_hangs_leaves_a_browser_that_works(browser):
    browser.goto("hang.html")
    result = browser.do(f"click('{browser.bid('Hang')}')", timeout_ms=4000)
    assert result["error"].startswith("TimeoutError: ")
    assert "Welcome" in browser.goto("index.html")["axtree"]


def test_a_server_that_never_answers_is_a_timeout(browser):
    browser.box.action("exec", detach=True, argv=["python3", "-c", (
        "import socket,time\ns=socket.create_server(('127.0.0.1',18001))\nk=[]\nwhile 1: k.append(s.accept())")])
    browser.box.run("until (exec 3<>/dev/tcp/127.0.0.1/18001) 2>/dev/null; do sleep 0.05; done")
    started = time.monotonic()
    result = browser.step(url="http://localhost:18001/", timeout_ms=3000, parts=["axtree"])
    assert re.match(r"TimeoutError: Page.goto: Timeout \d+ms exceeded", result["error"])
    assert time.monotonic() - started < 15
    assert "Welcome" in browser.goto("index.html")["axtree"]


def test_a_page_that_opens_windows_without_end_is_held(browser):
    browser.step(url=f"http://localhost:{PORT}/spawn.html", parts=[])
    assert len(browser.step(parts=[])["pages"]) <= 32
    browser.box.action("browser_close")
    assert browser.goto("index.html")["pages"] == [f"http://localhost:{PORT}/index.html"]


def test_a_crashed_page_is_replaced(browser):
    browser.goto("index.html")
    renderers = browser.box.output("for p in /proc/[0-9]*; do case $(cat $p/cmdline 2>/dev/null | tr '\\0' ' ') in "
                                   "*type=renderer*) kill -9 ${p#/proc/};; esac; done")
    result = browser.step(parts=["axtree"])
    assert "Page crashed" in result["error"] and result["url"] == "about:blank", renderers
    assert "Welcome" in browser.goto("index.html")["axtree"]


def test_a_killed_browser_is_an_error_and_the_next_step_has_another(fresh):
    fresh.goto("index.html")
    assert fresh.pids()
    fresh.box.run("kill -9 " + " ".join(fresh.pids()))
    for _ in range(2):  # the end may be seen before the step, or by it
        reply = fresh.box.request("POST", "/actions/browse", {"url": f"http://localhost:{PORT}/"}, timeout=PATIENCE)
        if reply.status == 200:
            break
        assert reply.status == 503 and "the next step starts another one" in reply.json["error"]["message"]
    assert reply.status == 200 and reply.json["error"] == ""
    assert len(fresh.box.output("ls -ad /tmp/.cay-browser-*").split()) == 1  # the old profile is gone


def test_close_leaves_nothing_behind(fresh):
    assert fresh.box.action("browser_close") == {"was_running": False}
    fresh.goto("index.html")
    assert fresh.box.action("browser_close") == {"was_running": True}
    assert fresh.pids() == []
    assert "cay-browser" not in fresh.box.output("ls -a /tmp; ps -e 2>/dev/null || true")


def test_two_clients_at_once_take_turns(browser):
    results = []

    def visit(page, title):
        for _ in range(3):
            reply = browser.box.request("POST", "/actions/browse",
                                        {"url": f"http://localhost:{PORT}/{page}", "parts": []}, timeout=PATIENCE)
            results.append((title, reply.json["title"]))

    threads = [threading.Thread(target=visit, args=a) for a in (("two.html", "Two"), ("form.html", "Form"))]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert len(results) == 6 and all(wanted == got for wanted, got in results)


def test_a_client_that_goes_away_does_not_stop_the_browser(browser):
    connection = browser.box.server.connection()
    body = json.dumps({"program": "noop(1500)"})
    connection.request("POST", browser.box.path + "/actions/browse", body, browser.box.server.headers("", None))
    connection.close()
    assert "Welcome" in browser.goto("index.html")["axtree"]


def test_a_huge_page_is_cut_and_said_to_be(browser):
    browser.box.action("write", path="/workspace/huge.html", content=(
        "<!doctype html><title>Huge</title><script>document.write('<p>'+'word '.repeat(60000)+'</p>');"
        "for(let i=0;i<8;i++)document.write('<p>'+'text '.repeat(60000)+'</p>')</script>"))
    result = browser.goto("huge.html")
    assert set(result["truncated"]) - {"screenshot"} == {"axtree", "content"}  # a busy machine paints it too late
    assert len(result["content"]) <= 2 * 1024 * 1024
    browser.box.action("write", path="/workspace/many.html", content=(
        "<!doctype html><title>Many</title><script>for(let i=0;i<150000;i++)document.write('<b>x</b>')</script>"))
    reply = browser.box.request("POST", "/actions/browse", {"url": f"http://localhost:{PORT}/many.html",
                                                            "parts": ["axtree"]}, timeout=PATIENCE)
    # Where that takes all the memory there is, the browser may not even open another tab: it is replaced, then.
    said = reply.json["error"] if reply.status == 200 else reply.json["error"]["message"]
    assert said == "" or re.search("too large|did not answer|Page crashed|no answer in time|has ended", said)
    assert "Welcome" in browser.goto("index.html")["axtree"]


def test_a_sandbox_without_a_browser_says_so(server):
    box = server.create(env={"CAY_BROWSER": "/nonexistent/browser"})
    reply = box.request("POST", "/actions/browse", {"url": "about:blank"})
    assert reply.status in (404, 501), reply.body
    box.delete()


def test_the_command_line_browses(server):
    box = server.create(name="cli-browse")
    browser = Browser(box)
    url = f"http://localhost:{PORT}/index.html"

    def cay(*args):
        env = {**os.environ, "CAY_URL": f"unix:{server.socket}", "CAY_TOKEN": server.token}
        return subprocess.run([PROGRAMS / "cay", "browse", *args], env=env, capture_output=True, text=True, timeout=PATIENCE)

    done = cay("cli-browse", url)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("# Welcome\n\nGo to [the form](form.html)")
    done = cay("--tree", "cli-browse")
    browser.last = {"axtree": done.stdout}
    with tempfile.TemporaryDirectory() as directory:
        picture = pathlib.Path(directory) / "page.png"
        done = cay("-p", f"click('{browser.bid('the form')}')", "-o", picture, "--marks", "--json", "cli-browse")
        assert json.loads(done.stdout)["url"].endswith("/form.html")
        assert picture.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    done = cay("-p", "click('9999')", "cli-browse")
    assert done.returncode == 1 and 'cay: browse: ValueError: Could not find element with bid "9999"' in done.stderr
    box.delete()


def test_a_killed_driver_takes_its_browser_along(fresh):
    fresh.goto("index.html")
    fresh.box.run("for p in /proc/[0-9]*; do [ \"$(cat $p/comm 2>/dev/null)\" = cay-browser ] && kill -9 ${p#/proc/}; done")
    for _ in range(2):
        reply = fresh.box.request("POST", "/actions/browse", {"url": f"http://localhost:{PORT}/"}, timeout=PATIENCE)
        if reply.status == 200:
            break
        assert reply.status == 503 and "the next step starts another one" in reply.json["error"]["message"]
    assert reply.json["error"] == "" and fresh.goto("index.html")["title"] == "Start"


def test_a_browser_runs_as_root_of_a_sandbox_too(server):
    box = server.create(user="root")
    browser = Browser(box)
    assert browser.goto("index.html")["title"] == "Start"
    assert box.output("stat -c %u /tmp/.cay-browser-*").strip() == "0"
    box.delete()


@pytest.mark.parametrize("script", [
    "exit 3",                                             # ends at once
    "head -c 1000000 /dev/urandom >&4; exec sleep 0.1",    # noise
    "printf '{\"id\":1,\"result\":{}}\\0{\"id\":\\0[[[[\\0{\"method\":7}\\0' >&4; exit 0",
])
def test_a_program_that_is_no_browser_is_an_error(server, script):
    box = server.create(env={"CAY_BROWSER": "/workspace/fake"})
    box.action("write", path="/workspace/fake", content=f"#!/bin/bash\n{script}\n", mode="0755")
    reply = box.request("POST", "/actions/browse", {"url": "about:blank"}, timeout=PATIENCE)
    assert reply.status == 503, reply.body
    assert "browser" in reply.json["error"]["message"]
    assert box.output("echo on") == "on\n"
    box.delete()
