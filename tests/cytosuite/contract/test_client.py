import socket
import sys
import threading
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from house import ran

from cytosuite.contract import client
from cytosuite.contract.client import OTHERWISE, request


@pytest.fixture
def port():
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


CODES = {"GET /200/ok": 0, "POST /201/0": 0, "POST /200/0": OTHERWISE, "GET /201/ok": OTHERWISE}
CODES |= {"POST /500/2": 2, "POST /500/4": 4, "POST /500/": 1, "POST /500/a-text": 1}
CODES |= {"POST /500/12345": 1, "GET /404/none": 1}


def test_the_answer_is_an_exit_code_and_none_an_error(port):
    assert {line: request(line, port) for line in CODES} == CODES
    with pytest.raises(ConnectionError, match="closed without an answer"):
        request("POST /close/x", port)


def test_an_answer_that_comes_drop_by_drop_is_given_up():
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def drip():
            connection, _ = listener.accept()
            with connection, suppress(OSError):
                for _ in range(1000):
                    connection.sendall(b"x")
                    time.sleep(0.05)

        thread = threading.Thread(target=drip)
        thread.start()
        begin = time.monotonic()
        with pytest.raises(TimeoutError):
            request("GET /health", listener.getsockname()[1], timeout_s=0.3)
        assert time.monotonic() - begin < 30
        thread.join()


def test_it_runs_alone_and_loads_neither_the_library_nor_http():
    source = client.__spec__.loader.get_source(client.__name__)
    code = source + "\nprint(sorted({'cytosuite', 'http', 'numpy'} & set(sys.modules)))"
    code = code.replace('if __name__ == "__main__"', "if False")
    done = ran(sys.executable, "-I", "-S", "-c", code)
    assert (done.returncode, done.stdout) == (0, "[]\n")
