# SPDX-License-Identifier: Apache-2.0
"""A model behind OpenAI's protocol that always does the same: it runs inside the sandbox, beside the agent server."""
import http.server
import json

STEPS = [("terminal", {"command": "echo from-the-agent >/workspace/made && cat /workspace/made"}),
         ("file_editor", {"command": "create", "path": "/workspace/hello.py", "file_text": "print('hello from', 6 * 7)\n"}),
         ("terminal", {"command": "python3 /workspace/hello.py"}),
         ("finish", {"message": "all is done"})]


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        done = sum(message["role"] == "tool" for message in body["messages"])
        name, arguments = STEPS[min(done, len(STEPS) - 1)]
        message = {"role": "assistant", "content": f"step {done}"}
        if body.get("tools"):
            message["tool_calls"] = [{"id": f"call_{done}", "type": "function", "function": {"name": name, "arguments": json.dumps(arguments)}}]
        answer = json.dumps({
            "id": f"m{done}", "object": "chat.completion", "created": 1, "model": "mock",
            "choices": [{"index": 0, "message": message, "finish_reason": "tool_calls" if body.get("tools") else "stop"}],
            "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *args):
        pass


http.server.ThreadingHTTPServer(("127.0.0.1", 9999), Handler).serve_forever()
