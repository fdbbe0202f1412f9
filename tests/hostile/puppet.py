"""A container's entry point that runs ``/input/act.py``, by the platform's two interfaces.

Without it the image's name, ``<module>-<attack>.tif``, says the attack, ``puppet-`` is `honest`. A
mounted model card's description is a program as well: it runs before the server listens.
"""

import json
import struct
import sys
import traceback
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from expected import attacks

INPUTS = Path("/input/inputs.json")


def program():
    """Return the case's program."""
    given = Path("/input/act.py")
    if given.exists():
        return given.read_text()
    (name,) = (one["image"]["name"] for one in json.loads(INPUTS.read_text()) if one["image"])
    module, _, attack = Path(name).stem.partition("-")
    if module == "puppet":
        return "honest()"
    (place,) = (one.place for one in attacks(module) if one.name == attack)
    return f"from attacks import {module}\n{place}({'handler' * (module == 'servers')})"


def honest():
    """Write the right labels of `externals.sample`, without a library that takes long to load."""
    place = Path("/output/images/instance-labels/labels.mha")
    place.parent.mkdir(parents=True)
    head = ["ObjectType = Image", "NDims = 3", "ElementSpacing = 0.001 0.001 0.002"]
    head += ["DimSize = 32 32 6", "ElementType = MET_USHORT", "ElementDataFile = LOCAL\n"]
    rows = [(y - 2) // 7 + 1 if y < 27 and (y - 2) % 7 < 4 and y > 1 else 0 for y in range(32)]
    plane = b"".join(
        struct.pack("<32H", *(row if 3 < x < 9 else 0 for x in range(32))) for row in rows
    )
    empty = bytes(len(plane))
    place.write_bytes("\n".join(head).encode() + empty + 4 * plane + empty)


def act(**names):
    """Run the case's program and return its exit code."""
    try:
        exec(compile(program(), "act.py", "exec"), {"honest": honest, **names})
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
