"""HTTP servers that stand behind a registered address: each answers with its name, and with a metric for who scrapes it.

In:  a name, an address of the loopback, a port. Out: a running server, ended with the program.
"""

import http.server
import threading


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_):
        """A proxy that leaves a connection is no news, and its trace would stand in the midst of an assertion's line."""


class Backend:
    def __init__(self, name, host="127.0.0.1", port=0):
        self.name = name
        backend = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                is_scrape = self.path.startswith("/metrics")
                body = "up_and_well 1\n" if is_scrape else backend.name
                data = body.encode()
                self.send_response(200)
                self.send_header("Content-Type", "text/plain; version=0.0.4")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_):
                pass

        self.server = Server((host, port), Handler)
        self.host, self.port = self.server.server_address[:2]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
