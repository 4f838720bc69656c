"""A static server on loopback for the benchmarks: plain or TLS, with or without latency.

nginx where it is installed (its echo module gives an asynchronous delay), because on a
machine whose cores are shared with the client every microsecond of the server distorts the
ratio. Otherwise `loopback.py`, an asyncio protocol with the corpus in memory: slower, above
all over TLS, so the report names the server that was used.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import trustme

HOST: Final = "127.0.0.1"
ECHO_MODULES: Final = (
    Path("/usr/lib/nginx/modules/ngx_http_echo_module.so"),
    Path("/usr/lib64/nginx/modules/ngx_http_echo_module.so"),
)
START_TIMEOUT_S: Final = 20.0
NGINX_CONF: Final = """
{load_module}
daemon off;
{user}
worker_processes 1;
worker_rlimit_nofile 8192;
pid {work}/nginx.pid;
error_log {work}/error.log;
events {{ worker_connections 4096; use epoll; }}
http {{
  access_log off;
  sendfile on; tcp_nopush on; tcp_nodelay on;
  keepalive_requests 10000000; keepalive_timeout 300s;
  open_file_cache max=10000 inactive=300s; open_file_cache_valid 300s;
  types {{ image/jpeg jpg; }}
  client_body_temp_path {work}; proxy_temp_path {work}; fastcgi_temp_path {work};
  uwsgi_temp_path {work}; scgi_temp_path {work};
  server {{
    listen {host}:{port} backlog=4096 {ssl};
    {certificate}
    root {root};
    {location}
  }}
}}
"""
NGINX_TLS: Final = """ssl_certificate {work}/server.pem; ssl_certificate_key {work}/server.pem;
    ssl_session_cache shared:bench:10m; ssl_session_timeout 10m;"""
NGINX_DELAY: Final = """location / {{ echo_sleep {delay_s}; echo_exec @file; }}
    location @file {{ }}"""


@dataclass(frozen=True, slots=True)
class Server:
    """A running server."""

    base_url: str
    """Scheme, host and port, without a final slash."""
    kind: str
    """What serves: `nginx` or `asyncio`."""
    ca_file: Path | None
    """The certificate authority that clients must trust; None for plain HTTP."""


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def _certificates(work: Path) -> Path:
    """Write server.pem (key and chain) and ca.pem; return the latter."""
    authority = trustme.CA()
    issued = authority.issue_cert(HOST)
    issued.private_key_and_cert_chain_pem.write_to_path(str(work / "server.pem"))
    authority.cert_pem.write_to_path(str(work / "ca.pem"))
    return work / "ca.pem"


def _nginx(root: Path, work: Path, port: int, tls: bool, delay_s: float) -> list[str] | None:
    """The command that serves with nginx, or None if it cannot do what is asked."""
    program = shutil.which("nginx", path=os.environ.get("PATH", "") + ":/usr/sbin")
    module = next((path for path in ECHO_MODULES if path.exists()), None)
    if program is None or (delay_s and module is None):
        return None
    text = NGINX_CONF.format(
        load_module=f"load_module {module};" if delay_s else "",
        user="user root;" if os.geteuid() == 0 else "",
        work=work,
        host=HOST,
        port=port,
        ssl="ssl" if tls else "",
        certificate=NGINX_TLS.format(work=work) if tls else "",
        root=root.resolve(),
        location=NGINX_DELAY.format(delay_s=delay_s) if delay_s else "",
    )
    (work / "nginx.conf").write_text(text)
    return [program, "-p", str(work), "-e", str(work / "error.log"), "-c", str(work / "nginx.conf")]


def _asyncio(root: Path, work: Path, port: int, tls: bool, delay_s: float) -> list[str]:
    command = [sys.executable, "-m", "tests.benchmarks.loopback", str(root), "--port", str(port)]
    command += ["--delay", str(delay_s)]
    return command + (["--certificate", str(work / "server.pem")] if tls else [])


def _wait(process: subprocess.Popen[bytes], port: int) -> None:
    """Return once the port accepts.

    Raises:
        RuntimeError: the server ended, or does not listen in time.
    """
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            socket.create_connection((HOST, port), timeout=1).close()
        except OSError:
            time.sleep(0.02)
        else:
            return
    raise RuntimeError(f"the benchmark server did not start: {process.args!r}")


@contextmanager
def serve(
    root: Path, work: Path, *, tls: bool = False, delay_s: float = 0.0, use_nginx: bool = True
) -> Iterator[Server]:
    """Serve a folder until the block ends.

    Args:
        root: the folder served.
        work: an empty folder for the server's own files.
        tls: HTTPS, with a certificate of a throw-away authority.
        delay_s: time that every request waits before it is answered.
        use_nginx: prefer nginx where it is installed.
    """
    work.mkdir(parents=True, exist_ok=True)
    port = free_port()
    ca_file = _certificates(work) if tls else None
    command = _nginx(root, work, port, tls, delay_s) if use_nginx else None
    kind = "nginx" if command else "asyncio"
    process = subprocess.Popen(command or _asyncio(root, work, port, tls, delay_s))
    try:
        _wait(process, port)
        yield Server(f"http{'s' if tls else ''}://{HOST}:{port}", kind, ca_file)
    finally:
        process.terminate()
        process.wait()
