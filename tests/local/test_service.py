"""Server processes: one per folder and name, whatever was killed before."""

import json
import os
import signal
import sys
import urllib.request

import pytest

from local.embedded.service import Service, ServiceFailed

SERVER = """
import http.server, pathlib, socket, sys
from local.embedded.service import hold_record
folder, listener = pathlib.Path(sys.argv[1]), int(sys.argv[2])
class Ready(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers(); self.wfile.write(b"here")
with hold_record(folder, "thing", listener):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Ready, bind_and_activate=False)
    server.socket = socket.socket(fileno=listener)
    server.serve_forever()
"""


@pytest.fixture
def service(tmp_path):
    service = Service(tmp_path, "thing", "/")
    yield service
    service.stop()


def start(service, port=None, code=SERVER):
    folder = str(service.log.parents[1])
    return service.start(lambda fd: [sys.executable, "-c", code, folder, str(fd)], lambda _: dict(os.environ), port)


def test_it_serves_where_it_says_and_is_gone_when_stopped(service):
    running = start(service)
    assert service.running() == running
    with urllib.request.urlopen(running.url) as answer:
        assert answer.read() == b"here"
    assert service.stop()
    assert service.running() is None
    assert not service.stop()


def test_it_gets_the_port_that_it_had_where_that_is_free(service, tmp_path):
    port = start(service).port
    neighbour = Service(tmp_path / "other", "thing", "/")
    try:
        assert start(neighbour, port).port != port
    finally:
        neighbour.stop()
    service.stop()
    assert start(service, port).port == port


def test_a_killed_process_is_known_to_be_dead_even_if_its_number_lives_on(service, tmp_path):
    running = start(service)
    os.kill(running.pid, signal.SIGKILL)
    os.waitpid(running.pid, 0)
    (tmp_path / "thing.json").write_text(json.dumps({"pid": os.getpid(), "port": running.port}))
    assert service.running() is None
    assert service.was_killed()
    assert start(service).pid != os.getpid()


def test_a_second_process_of_the_same_name_steps_back(service):
    start(service)
    with pytest.raises(ServiceFailed, match="runs already"):
        start(service)


def test_a_process_that_fails_to_start_is_told_with_its_last_words_and_its_log(service):
    with pytest.raises(ServiceFailed, match=r"exit status 3.*out of luck.*thing\.log"):
        start(service, code="print('out of luck'); raise SystemExit(3)")
