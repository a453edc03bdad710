# SPDX-License-Identifier: Apache-2.0
"""usage: PYTHON bench/browsergym_step.py CHROMIUM URL COUNT: seconds of a step of BrowserGym, as OpenHands uses it.

PYTHON has browsergym-core. Prints {"start_s": …, "steps_s": […]}. Both drive the same Chromium.
"""
import json
import os
import sys
import time

import playwright.sync_api

chromium, url, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
launch = playwright.sync_api.BrowserType.launch
playwright.sync_api.BrowserType.launch = lambda self, **k: launch(self, **{**k, "executable_path": chromium})
import browsergym.core  # noqa: E402, F401: registers the environment
import gymnasium  # noqa: E402

begin = time.perf_counter()
env = gymnasium.make("browsergym/openended", task_kwargs={"start_url": "about:blank", "goal": "-"}, headless=True,
                     wait_for_user_message=False, disable_env_checker=True, tags_to_mark="all")
env.reset()
start = time.perf_counter() - begin
steps = []
for _ in range(count):
    begin = time.perf_counter()
    seen = env.step(f'goto("{url}")')[0]
    steps.append(time.perf_counter() - begin)
    assert seen["last_action_error"] == "", seen["last_action_error"]
print(json.dumps({"start_s": start, "steps_s": steps}), flush=True)
os._exit(0)  # its threads take long to end
