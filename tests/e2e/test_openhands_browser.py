# SPDX-License-Identifier: Apache-2.0
"""The actions browse and browse_interactive of OpenHands' API, in real sandboxes."""
import base64
import re
import time

import pytest
from test_browser import PAGES, PORT, pytestmark  # noqa: F401: skips where there is no chromium
from test_openhands import OpenHands
from waiting import PATIENCE

EXTRAS = ["url", "trigger_by_action", "screenshot", "screenshot_path", "set_of_marks", "error", "goal_image_urls",
          "open_pages_urls", "active_page_index", "dom_object", "axtree_object", "extra_element_properties",
          "last_browser_action", "last_browser_action_error", "focused_element_bid", "filter_visible_only"]


class Browsing(OpenHands):
    def browse(self, page, **args):
        return self.act("browse", PATIENCE, url=f"http://localhost:{PORT}/{page}", **args)

    def interact(self, program, **args):
        return self.act("browse_interactive", PATIENCE, browser_actions=program, **args)


@pytest.fixture(scope="module")
def box(server):
    made = server.create(name="oh-browse")
    for name, text in PAGES.items():
        made.action("write", path=f"/workspace/{name}", content=text)
    made.put_file("/workspace/report.bin", b"%PDF-1.4 not really")
    yield made
    made.delete()


@pytest.fixture(scope="module")
def oh(server, box):
    made = Browsing(server, "oh-browse")
    made.run(f"python3 -m http.server {PORT} > /tmp/server.log 2>&1 &")
    made.run(f"until (exec 3<>/dev/tcp/127.0.0.1/{PORT}) 2>/dev/null; do sleep 0.05; done")
    return made


def test_browse_gives_the_page_as_text(oh):
    seen = oh.browse("index.html")
    url = f"http://localhost:{PORT}/index.html"
    assert list(seen) == ["message", "observation", "content", "extras"]
    assert seen["message"] == f"Visited {url}" and seen["observation"] == "browse"
    assert seen["content"] == (
        f"[Current URL: {url}]\n============== BEGIN webpage content ==============\n"
        "# Welcome\n\nGo to [the form](form.html) or [a new tab](two.html).\n\n  * one\n  * two"
        "\n============== END webpage content ==============\n")
    extras = seen["extras"]
    assert list(extras) == EXTRAS
    assert extras["open_pages_urls"] == [url] and extras["active_page_index"] == 0
    assert extras["last_browser_action"] == f'goto("{url}")' and extras["last_browser_action_error"] == ""
    assert extras["trigger_by_action"] == "browse" and extras["error"] is False
    assert extras["axtree_object"] == extras["extra_element_properties"] == extras["dom_object"] == {}
    assert extras["goal_image_urls"] == [] and extras["filter_visible_only"] is False


def test_the_screenshot_is_in_the_reply_and_in_the_workspace(oh, box):
    extras = oh.browse("index.html")["extras"]
    assert re.fullmatch(r"/workspace/\.browser_screenshots/screenshot_\d{8}_\d{6}_\d{6}\.png", extras["screenshot_path"])
    head, data = extras["screenshot"].split(",")
    assert head == "data:image/png;base64"
    assert box.get_file(extras["screenshot_path"]).body == base64.b64decode(data)
    assert extras["set_of_marks"].startswith("data:image/png;base64,iVBOR")


def test_browse_interactive_gives_the_tree(oh):
    oh.browse("form.html")
    seen = oh.interact("noop(1)", return_axtree=True)
    extras = seen["extras"]
    url = f"http://localhost:{PORT}/form.html"
    assert seen["content"].startswith(
        f"[Current URL: {url}]\n[Focused element bid: {extras['focused_element_bid']}]\n"
        f"[Screenshot saved to: {extras['screenshot_path']}]\n\n[Action executed successfully.]\n"
        "Accessibility tree of the COMPLETE webpage:\nNote: [bid] is the unique alpha-numeric identifier at the "
        "beginning of lines for each element in the AXTree. Always use bid to refer to elements in your actions.\n"
        f"============== BEGIN accessibility tree ==============\nRootWebArea 'Form', focused, url='{url}'\n\t[")
    assert seen["content"].endswith("\n============== END accessibility tree ==============\n")
    assert extras["last_browser_action"] == "noop(1)" and extras["trigger_by_action"] == "browse_interactive"
    button = next(n for n in extras["axtree_object"]["nodes"] if n.get("name", {}).get("value") == "Test Button")
    assert set(extras["extra_element_properties"][button["browsergym_id"]]) == {
        "visibility", "bbox", "clickable", "set_of_marks"}
    seen = oh.interact(f"click('{button['browsergym_id']}')")
    assert "StaticText 'Button clicked!'" in seen["content"] and seen["extras"]["axtree_object"] == {}


def test_errors_are_in_the_observation(oh):
    seen = oh.interact("click('nothing')")
    error = 'ValueError: Could not find element with bid "nothing"'
    assert seen["extras"]["error"] is True and seen["extras"]["last_browser_action_error"] == error
    assert ("================ BEGIN error message ===============\n"
            f"The following error occurred when executing the last action:\n{error}\n"
            "================ END error message ===============\nAccessibility tree") in seen["content"]
    seen = oh.act("browse", url="http://localhost:9/")
    assert seen["extras"]["error"] is True
    assert ("================ BEGIN error message ===============\n"
            "The following error occurred when trying to visit the URL:\nError: Page.goto: net::ERR_") in seen["content"]
    assert oh.interact("")["extras"]["last_browser_action_error"] == "ValueError: Received an empty action."


def test_a_page_that_hangs_is_told_before_the_client_gives_up(oh, box):
    """Which it does five seconds after the action's timeout."""
    oh.browse("index.html")
    box.action("write", path="/workspace/spin.html", content="<title>Spin</title><script>for(;;);</script>")
    begin = time.monotonic()
    seen = oh.act("browse", 6.0, url=f"http://localhost:{PORT}/spin.html")
    assert time.monotonic() - begin < 11
    assert seen["extras"]["error"] is True and "TimeoutError: Page.goto: Timeout" in seen["content"]
    assert "Welcome" in oh.browse("index.html")["content"]


def test_a_path_is_a_file_where_the_shell_is(oh):
    seen = oh.act("browse", url="two.html")
    assert "# Page two" in seen["content"] and seen["extras"]["url"] == "file:///workspace/two.html"


def test_a_download_is_told(oh, box):
    program = f'goto("http://localhost:{PORT}/report.bin")'
    seen = oh.interact(program)
    path = "/workspace/file_1.pdf"
    assert seen == {
        "message": f"Downloaded the file at location: {path}", "observation": "download",
        "content": f"Execution of the previous action {program} resulted in a file download. "
                   f"The downloaded file is saved at location: {path}",
        "extras": {"file_path": path}}
    assert box.get_file(path).body == b"%PDF-1.4 not really"


def test_a_sandbox_started_without_a_browser_says_so(server):
    made = server.create(name="oh-none", labels={"openhands.browser": "no"})
    none = Browsing(server, "oh-none")
    text = "Browser functionality is not supported or disabled."
    for seen in (none.browse("index.html"), none.interact("noop()")):
        assert seen == {"message": text, "observation": "error", "content": text, "extras": {"error_id": ""}}
    made.delete()


def test_a_browser_that_was_killed_is_an_observation(oh, box):
    oh.browse("index.html")
    box.run("pkill -9 -f chromium/chromium || kill -9 $(grep -l chromium/chromium /proc/[0-9]*/cmdline | cut -d/ -f3)")
    seen = oh.interact("noop(1)")
    if seen["extras"]["error"]:  # the end was noticed by this step
        assert seen["extras"]["url"] == "" and seen["extras"]["active_page_index"] == -1
        assert seen["extras"]["screenshot"] == "" and seen["extras"]["screenshot_path"] is None
        assert "[Error encountered when processing the accessibility tree: 'nodes']" in seen["content"]
    assert "Welcome" in oh.browse("index.html")["content"]
