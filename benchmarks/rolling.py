"""A rolling restart of 10 replicas behind nginx, under load: how many requests fail, and how long it takes.

Ours is `configs/nginx-upstream.yaml` with another program: a replica is taken out of nginx and drained before it is
stopped, and the next one follows when this one is healthy. Peer: supervisord, whose programs are restarted one by one
behind an nginx that has all ten for good and tries another when one does not answer. Half of the requests are POST,
which nginx never sends twice.
"""

from __future__ import annotations

import http.client
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from _common import free_ports, program, report, venv, workplace
from _managers import PROGRAMS, _until

COUNT, CLIENTS = 10, 8
CONFIGS = Path(__file__).resolve().parents[1] / "configs"
SERVICE = """
import http.server, sys, time
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        time.sleep(0.05)
        self.send_response(200)
        self.send_header("Content-Length", "3")
        self.end_headers()
        self.wfile.write(b"ok\\n")
    do_POST = do_GET
    def log_message(self, *_):
        pass
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Answer).serve_forever()
"""


class Load:
    """Clients that ask again and again, each time by a new connection."""

    def __init__(self, port: int) -> None:
        self.port, self.asked, self.failed = port, 0, 0
        self._ended = threading.Event()

    def _ask(self, number: int) -> None:
        while not self._ended.is_set():
            number += 1
            good = _answers(self.port, "POST" if number % 2 else "GET")
            self.asked += 1  # one thread at a time may lose a count here; failures are few
            self.failed += not good

    @contextmanager
    def going(self) -> Iterator[None]:
        threads = [threading.Thread(target=self._ask, args=(number,)) for number in range(CLIENTS)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._ended.set()
            for thread in threads:
                thread.join()


def _answers(port: int, method: str = "GET") -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request(method, "/", body=b"x" if method == "POST" else None)
        answer = connection.getresponse()
        answer.read()
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
    return answer.status == 200


def measured(port: int, restart: list[str], env: dict[str, str]) -> tuple[int, int, float]:
    """Failed, asked, seconds."""
    _until(lambda: _answers(port), 60)
    load = Load(port)
    with load.going():
        begun = time.monotonic()
        subprocess.run(restart, env=env, check=True, capture_output=True, timeout=300)
        took = time.monotonic() - begun
    return load.failed, load.asked, took


def ours(folder: Path, first: int) -> tuple[int, int, float]:
    text = (CONFIGS / "nginx-upstream.yaml").read_text().replace("/srv/example", str(folder))
    text = (
        text.replace("18080", str(first)).replace("18081", str(first + 1)).replace("replicas: 1", f"replicas: {COUNT}")
    )
    text = text.replace(
        '[python3, -m, http.server, "{port}", --bind, 127.0.0.1]', f'[python3, {folder}/service.py, "{{port}}"]'
    )
    text = text.replace("/usr/share", str(folder))
    (folder / "service.py").write_text(SERVICE)
    (folder / "blackhole.yaml").write_text(text)
    shutil.copy(CONFIGS / "nginx-upstream.sh", folder)
    env = {**os.environ, "BLACKHOLE_HOME": str(folder)}
    cli = str(PROGRAMS / "blackhole")
    try:
        subprocess.run([cli, "start"], env=env, check=True, capture_output=True, timeout=120)
        return measured(first, [cli, "restart", "api", "--rolling"], env)
    finally:
        subprocess.run([cli, "agent", "stop"], env=env, check=False, capture_output=True, timeout=120)


def supervisord(folder: Path, first: int) -> tuple[int, int, float]:
    (folder / "service.py").write_text(SERVICE)
    ports = range(first + 1, first + 1 + COUNT)
    programs = "".join(f"[program:s{port}]\ncommand=python3 {folder}/service.py {port}\n" for port in ports)
    (folder / "conf").write_text(
        f"[unix_http_server]\nfile={folder}/s.sock\n[supervisord]\nlogfile={folder}/s.log\npidfile={folder}/s.pid\n"
        f"nodaemon=true\nchildlogdir={folder}\n[rpcinterface:supervisor]\n"
        "supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface\n"
        f"[supervisorctl]\nserverurl=unix://{folder}/s.sock\n{programs}"
    )
    servers = "".join(f"server 127.0.0.1:{port};" for port in ports)
    (folder / "nginx.conf").write_text(
        f"daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/nginx.log;\n"
        "events { worker_connections 1024; }\n"
        f"http {{ access_log off; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;\n"
        f"fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;\n"
        f"upstream api {{ {servers} }} server {{ listen 127.0.0.1:{first};\n"
        f"location / {{ proxy_pass http://api; }} }} }}\n"
    )
    path = venv("supervisor") / "bin"
    argv = [[str(path / "supervisord"), "-c", str(folder / "conf")], ["nginx", "-c", str(folder / "nginx.conf")]]
    running = [subprocess.Popen(each, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) for each in argv]
    try:
        _until(lambda: all(_answers(port) for port in ports), 60)
        # `restart s1 s2` would stop both before it starts one.
        one = f"{path}/supervisorctl -c {folder}/conf restart s"
        return measured(first, ["sh", "-ec", "; ".join(f"{one}{port}" for port in ports)], dict(os.environ))
    finally:
        for process in reversed(running):
            process.terminate()
            process.wait(60)


def main() -> None:
    if program("nginx", "apt install nginx-light") is None:
        return
    print(f"load {os.getloadavg()[0]:.2f}")
    figures = []
    for measure in (ours, supervisord):
        with workplace() as folder:
            figures.append(measure(folder, free_ports(COUNT + 1)))
    for name, (failed, asked, took) in zip(("blackhole", "supervisord"), figures, strict=True):
        print(f"{name}: {failed} of {asked} requests failed in a rolling restart of {COUNT} replicas, {took:.1f} s")
    (failed, asked, _), (their_failed, their_asked, _) = figures
    report(
        "failed of 100,000 requests",
        "requests",
        failed / asked * 1e5,
        "supervisord",
        max(their_failed, 0.5) / their_asked * 1e5,
    )


if __name__ == "__main__":
    main()
