"""An HTTP server on this machine, in its own thread: what the hub and the package index of the tests have in common."""

import threading
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self


class Server:
    """A context manager. Its handler reaches it as `self.served`."""

    def __init__(self, handler: type[BaseHTTPRequestHandler]) -> None:
        bound = type("Handler", (handler,), {"served": self, "protocol_version": "HTTP/1.1"})
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), bound)
        self.server.daemon_threads = True
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True)

    def __enter__(self) -> Self:
        self.thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Stops the server and closes its port; may be called twice."""
        if self.thread.is_alive():
            self.server.shutdown()
            self.thread.join()
        self.server.server_close()

    @property
    def host(self) -> str:
        """The address with its port."""
        return f"127.0.0.1:{self.server.server_address[1]}"


class Faulty(BaseHTTPRequestHandler):
    """A quiet handler that can stall."""

    def log_message(self, *message: object) -> None:
        pass

    def wait(self) -> None:
        """Sends nothing until the client closes the connection."""
        self.close_connection = True
        with suppress(OSError):
            self.connection.recv(1)

    def drip(self, data: bytes) -> None:
        """Sends a byte at a time, slowly, until the client closes the connection."""
        self.close_connection = True
        with suppress(OSError):
            for place in range(len(data)):
                self.wfile.write(data[place : place + 1])
                time.sleep(0.05)
