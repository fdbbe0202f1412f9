"""A container's entry point that runs ``/input/act.py``, by the platform's two interfaces.

A mounted model card's description is a program as well: it runs before the server listens.
"""

import json
import sys
import traceback
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


def act(**names):
    """Run the case's program and return its exit code."""
    try:
        exec(compile(Path("/input/act.py").read_text(), "act.py", "exec"), names)
    except SystemExit as leave:
        return int(leave.code or 0)
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


class Handler(BaseHTTPRequestHandler):
    """The two requests of the platform; a program may answer in its own way and set `done`."""

    done = False

    def do_GET(self):
        self.answer(200, "ok")

    def do_POST(self):
        code = act(handler=self)
        if not self.done:
            self.answer(500 if code else 201, str(code))

    def answer(self, status, text):
        self.send_response(status)
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *args):
        pass


if __name__ == "__main__":
    for card in Path("/opt/ml/model").glob("*.json"):
        exec(json.loads(card.read_text())["description"], {"Handler": Handler})
    if sys.argv[1:] == ["invoke"]:
        ThreadingHTTPServer(("127.0.0.1", 4743), Handler).serve_forever()
    sys.exit(act())
