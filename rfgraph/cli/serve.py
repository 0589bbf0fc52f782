"""``rfgraph serve``: the report of a model in the browser, from this machine alone."""

from __future__ import annotations

import argparse
import traceback
import webbrowser
from contextlib import suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from rfgraph import report
from rfgraph.cli.common import add_common
from rfgraph.cli.report import page_of
from rfgraph.errors import RFGraphError
from rfgraph.limits import Limits, too_much
from rfgraph.processes import Lost, carried_out

# The only address that is listened at: other machines don't get here.
_ADDRESS = "127.0.0.1"


def add(commands: Any) -> None:
    """Add the command to the parser."""
    command = commands.add_parser(
        "serve",
        help="show everything about a model in the browser",
        description="Show what 'rfgraph report' writes in the browser, until Ctrl-C. It is served "
        "to this machine alone, and the model is read once.",
    )
    add_common(command)
    command.add_argument(
        "--port", type=int, default=0, metavar="N", help="the port (default: any that is free)"
    )
    command.add_argument(
        "--no-browser", action="store_true", help="print the address, and open nothing"
    )
    # Not the server, but the work on the model is what limits hold for.
    command.set_defaults(run=run, output_file=None, guards_itself=True)


def run(options: argparse.Namespace) -> str:
    """Serve until the user ends it."""
    report.available()
    with _server(options.port) as server:
        limits = Limits(options.timeout, options.memory) if options.guard else Limits()
        ((_, found),) = carried_out(_made, [options], jobs=1, limits=limits)
        page, error = ("", found.why) if isinstance(found, Lost) else found
        if error:
            raise RFGraphError(error)
        server.page = page.encode(errors="replace")
        address = f"http://{_ADDRESS}:{server.server_port}/"
        print(f"{options.model} at {address} (Ctrl-C ends it)", flush=True)
        if not options.no_browser:
            webbrowser.open(address)
        with suppress(KeyboardInterrupt):
            server.serve_forever()
    return "ended"


def _made(options: argparse.Namespace) -> tuple[str, str]:
    """The page, or why there is none."""
    try:
        return page_of(options), ""
    except RFGraphError as error:
        return "", str(error)
    except MemoryError:
        return "", f"{options.model}: {too_much(options.memory)}"
    except Exception as error:
        if options.debug:
            traceback.print_exc()
        return "", f"internal error: {type(error).__name__}: {error} (--debug shows where)"


class _Server(ThreadingHTTPServer):
    """Serves one page."""

    daemon_threads = True
    page = b""


def _server(port: int) -> _Server:
    try:
        return _Server((_ADDRESS, port), _Handler)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise RFGraphError(
            f"--port {port}: {reason}", remedy="without --port any free one is taken"
        ) from None


class _Handler(BaseHTTPRequestHandler):
    """Answers for the page, and for nothing else."""

    server: _Server
    server_version = "rfgraph"
    sys_version = ""

    def do_GET(self) -> None:
        """Send the page."""
        if self._is_asked_for():
            self.wfile.write(self.server.page)

    def do_HEAD(self) -> None:
        """Send what goes before the page."""
        self._is_asked_for()

    def _is_asked_for(self) -> bool:
        # A page of another site, whose name leads here, is not answered.
        port = self.server.server_port
        known = {f"{name}:{port}" for name in (_ADDRESS, "localhost")}
        if self.headers.get("Host") not in known:
            self.send_error(HTTPStatus.FORBIDDEN)
            return False
        if self.path != "/":
            self.send_error(HTTPStatus.NOT_FOUND)
            return False
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(self.server.page)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Cross-Origin-Resource-Policy", "same-origin")
        self.send_header("X-Frame-Options", "DENY")
        self.end_headers()
        return True

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing of requests."""
