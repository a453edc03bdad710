# SPDX-License-Identifier: Apache-2.0
"""viewer: shows files of the sandbox to its browser, as OpenHands' file viewer does.

Listens on a free port of 127.0.0.1 from 60001 on, writes its URL to /tmp/oh-server-url, and answers GET / and
GET /view?path=…. It is run as the sandbox's user, so it shows what that may read. One request at a time: there is one
browser. Pages of a PDF are drawn into canvases, without anything from outside, if pdftoppm is in the sandbox.

Only the modules that it cannot do without are imported: it is started with the sandbox.
"""
import base64
import os
import socket
import sys

FIRST_PORT, PORTS = 60001, 1024
REQUEST_MAX, FILE_MAX, PAGES_MAX = 16 * 1024, 64 * 1024 * 1024, 50
PATIENCE = 10  # seconds for a client to say what it wants
TYPES = {".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".gif": "image/gif"}
PAGE = """<!DOCTYPE html>
<html><head><meta charset="utf-8"><title>File Viewer - {name}</title>
<style>body {{ margin: 0; background: #eee; text-align: center }} img, canvas {{ max-width: 100%; margin: 8px auto; display: block; background: #fff }}</style>
</head><body>{body}</body></html>"""
CANVAS = """<canvas id="page{n}" aria-label="page {n}"></canvas><script>{{
const image = new Image(), canvas = document.getElementById("page{n}");
image.onload = () => {{ canvas.width = image.width; canvas.height = image.height; canvas.getContext("2d").drawImage(image, 0, 0); }};
image.src = "data:image/png;base64,{data}"; }}</script>"""
BLANK = """<canvas id="page1" width="800" height="200" aria-label="no page"></canvas><script>
const pen = document.getElementById("page1").getContext("2d"); pen.font = "16px sans-serif";
pen.fillText("{text}", 20, 40);</script>"""


class Refused(Exception):
    def __init__(self, status, title, *paragraphs):
        super().__init__(title)
        self.status = status
        self.html = f"<h1>{title}</h1>" + "".join(f"<p>{escape(p)}</p>" for p in paragraphs)


def escape(text):
    for char, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ('"', "&quot;")):
        text = text.replace(char, entity)
    return text


def unquote(text):
    """Percent-decoding; '+' is a space in a query."""
    first, *rest = text.replace("+", " ").encode("utf-8", "surrogateescape").split(b"%")
    out = [first]
    for piece in rest:
        try:
            out += [bytes([int(piece[:2], 16)]), piece[2:]]
        except ValueError:
            out += [b"%", piece]
    return b"".join(out).decode("utf-8", "surrogateescape")


def pdf_pages(path):
    """PNGs of the pages; ValueError says why there are none."""
    import subprocess  # only who looks at a PDF pays for it
    import tempfile
    with tempfile.TemporaryDirectory() as directory:
        try:
            done = subprocess.run(["pdftoppm", "-png", "-r", "96", "-l", str(PAGES_MAX), path, directory + "/p"],
                                  stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, timeout=60)
        except FileNotFoundError:
            raise ValueError("This PDF cannot be drawn: pdftoppm is not in the sandbox.") from None
        except subprocess.TimeoutExpired:
            raise ValueError("This PDF takes too long to be drawn.") from None
        names = sorted(os.listdir(directory))
        if not names:
            raise ValueError("This PDF cannot be drawn: " + done.stderr.decode("utf-8", "replace").strip()[:100])
        pages = []
        for name in names:
            with open(os.path.join(directory, name), "rb") as f:
                pages.append(f.read())
        return pages


def body_of(path, suffix):
    if suffix == ".pdf":
        try:
            return "".join(CANVAS.format(n=n, data=base64.b64encode(png).decode())
                           for n, png in enumerate(pdf_pages(path), 1))
        except ValueError as why:
            return BLANK.format(text=escape(str(why)).replace("\\", "\\\\").replace("\n", " "))
    with open(path, "rb") as f:
        data = f.read(FILE_MAX + 1)
    if len(data) > FILE_MAX:
        raise ValueError(f"the file is larger than {FILE_MAX} bytes")
    return f'<img src="data:{TYPES[suffix]};base64,{base64.b64encode(data).decode()}" alt="{escape(os.path.basename(path))}">'


def view(path):
    if not os.path.isabs(path):
        raise Refused(400, "Error: Path must be absolute", path)
    if not os.path.exists(path):
        raise Refused(404, "Error: File not found", path)
    if os.path.isdir(path):
        raise Refused(400, "Error: Path is a directory", path)
    suffix = os.path.splitext(path)[1].lower()
    try:
        if suffix != ".pdf" and suffix not in TYPES:
            raise ValueError(f"Unsupported file extension: {suffix}. Supported extensions are: .pdf, .png, .jpg, .jpeg, .gif")
        if not os.path.isfile(path):
            raise ValueError("it is no regular file")
        return PAGE.format(name=escape(os.path.basename(path)), body=body_of(path, suffix))
    except (OSError, ValueError) as why:
        raise Refused(500, "Error viewing file", path, str(why)) from None


def answer(request):
    """Status, type and body for the first line of a request."""
    method, _, rest = request.partition(" ")
    path, _, query = rest.partition(" ")[0].partition("?")
    if method != "GET":
        return 405, "application/json", '{"detail":"Method Not Allowed"}'
    if path == "/":
        return 200, "application/json", '{"status":"File viewer server is running"}'
    if path != "/view":
        return 404, "application/json", '{"detail":"Not Found"}'
    values = [unquote(pair[5:]) for pair in query.split("&") if pair.startswith("path=")]
    try:
        return 200, "text/html; charset=utf-8", view(values[0] if values else "")
    except Refused as refused:
        return refused.status, "text/html; charset=utf-8", refused.html


def serve_one(connection):
    connection.settimeout(PATIENCE)
    head = b""
    while b"\r\n\r\n" not in head and len(head) < REQUEST_MAX:
        piece = connection.recv(4096)
        if not piece:
            return
        head += piece
    status, kind, body = answer(head.split(b"\r\n", 1)[0].decode("utf-8", "surrogateescape"))
    data = body.encode("utf-8", "replace")
    connection.sendall(f"HTTP/1.1 {status} -\r\nContent-Type: {kind}\r\nContent-Length: {len(data)}\r\n"
                       "Connection: close\r\n\r\n".encode() + data)


def listen():
    for port in range(FIRST_PORT, FIRST_PORT + PORTS):
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            listener.bind(("127.0.0.1", port))
            listener.listen(16)
            return listener, port
        except OSError:
            listener.close()
    sys.exit("viewer: no free port")


def main():
    listener, port = listen()
    with open("/tmp/oh-server-url", "w", encoding="ascii") as f:
        f.write(f"http://localhost:{port}")
    while True:
        connection, _ = listener.accept()
        with connection:
            try:
                serve_one(connection)
            except OSError:
                pass  # a client that went away


if __name__ == "__main__":
    main()
