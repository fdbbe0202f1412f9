"""A container's entry point that runs ``/input/act.py``, by the platform's two interfaces."""

import sys
import traceback
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


def act():
    """Run the case's program and return its exit code."""
    try:
        exec(compile(Path("/input/act.py").read_text(), "act.py", "exec"), {})
    except SystemExit as leave:
        return int(leave.code or 0)
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


class Handler(BaseHTTPRequestHandler):
    """The two requests of the platform."""

    def do_GET(self):
        self.answer(200, "ok")

    def do_POST(self):
        code = act()
        self.answer(500 if code else 201, str(code))

    def answer(self, status, text):
        self.send_response(status)
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *args):
        pass


if __name__ == "__main__":
    if sys.argv[1:] == ["serve"]:
        ThreadingHTTPServer(("127.0.0.1", 4743), Handler).serve_forever()
    sys.exit(act())
