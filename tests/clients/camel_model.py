# SPDX-License-Identifier: Apache-2.0
"""A model behind the OpenAI API that solves one exercise: it runs code once, tells the result, and deems code harmless.

usage: camel_model.py PORT, for one that is no part of another program."""
import http.server
import itertools
import json
import sys
import threading

_ids = itertools.count()


def call(name, **arguments):
    return {"tool_calls": [{"id": f"call_{next(_ids)}", "type": "function",
                            "function": {"name": name, "arguments": json.dumps(arguments)}}]}


def answer(request):
    tools = [tool["function"]["name"] for tool in request.get("tools") or ()]
    if "function_risk" in tools:
        return call("function_risk", score=1, reason="it only adds up")
    if request["messages"][-1]["role"] == "tool":
        return {"content": "She earned $10.20."}
    if "CAMEL_TASK_DONE" in str(request["messages"][0]["content"]):
        return {"content": "CAMEL_TASK_DONE"}
    if "sample_function" in tools:
        return call("sample_function", x=12, y=51)
    if "execute_code" in tools:
        return call("execute_code", code="print(12 * 51 / 60)", code_type="python")
    return {"content": "There is nothing to do."}


class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        message = {"role": "assistant", "content": None, **answer(request)}
        body = json.dumps({"id": f"chat_{next(_ids)}", "object": "chat.completion", "created": 1, "model": request["model"],
                           "choices": [{"index": 0, "message": message, "logprobs": None,
                                        "finish_reason": "tool_calls" if "tool_calls" in message else "stop"}],
                           "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


class Model:
    def __init__(self, port=0):
        self.port = port

    def __enter__(self):
        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}/v1"
        threading.Thread(target=self.http.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.http.shutdown()
        self.http.server_close()


if __name__ == "__main__":
    with Model(int(sys.argv[1])):
        threading.Event().wait()
