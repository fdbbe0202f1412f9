import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from cytosuite import client
from cytosuite.client import OTHERWISE, request


@pytest.fixture
def port():
    """Return the port of a server that answers ``/<status>/<body>`` with this status and body."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            status, body = self.path[1:].split("/")
            if status == "close":
                return
            self.send_response(int(status))
            self.end_headers()
            self.wfile.write(body.encode())

        def do_POST(self):
            self.do_GET()

        def log_message(self, *args):
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


@pytest.fixture
def unused_port():
    """Return a port on which no server listens."""
    with HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as server:
        return server.server_port


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("GET /200/ok", 0),
        ("POST /201/0", 0),
        ("POST /200/0", OTHERWISE),
        ("GET /201/ok", OTHERWISE),
        ("POST /500/2", 2),
        ("POST /500/4", 4),
        ("POST /500/", 1),
        ("POST /500/a-text", 1),
        ("POST /500/12345", 1),
        ("GET /404/none", 1),
    ],
)
def test_the_answer_is_an_exit_code(port, line, code):
    assert request(line, port) == code


def test_a_server_that_closes_the_connection_gives_no_answer(port):
    with pytest.raises(ConnectionError, match="closed without an answer"):
        request("POST /close/x", port)


def test_an_answer_that_comes_drop_by_drop_is_given_up():
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def drip():
            connection, _ = listener.accept()
            with connection, suppress(OSError):
                for _ in range(100):
                    connection.sendall(b"x")
                    time.sleep(0.05)

        thread = threading.Thread(target=drip)
        thread.start()
        begin = time.monotonic()
        with pytest.raises(TimeoutError):
            request("GET /health", listener.getsockname()[1], timeout_s=0.3)
        assert time.monotonic() - begin < 2
        thread.join()


def test_a_refused_connection_is_tried_again_for_the_given_time(unused_port):
    begin = time.monotonic()
    with pytest.raises(ConnectionRefusedError):
        request("GET /health", unused_port, patience_s=0.2)
    assert 0.2 <= time.monotonic() - begin < 2


def test_it_runs_alone_and_loads_neither_the_library_nor_http():
    source = client.__spec__.loader.get_source(client.__name__)
    code = source + "\nprint(sorted({'cytosuite', 'http', 'numpy'} & set(sys.modules)))"
    code = code.replace('if __name__ == "__main__"', "if False")
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"
