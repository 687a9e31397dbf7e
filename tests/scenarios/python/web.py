# Why: Python's own HTTP server under its own client: objects come and go with each request, reference
# counting frees them, pymalloc keeps its arenas.
# Right answer: healthy.
import http.client, http.server, os, subprocess, sys, threading, time

from scenario import ready, seeded


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        rows = [{"id": number, "name": f"row {number}"} for number in range(200)]
        body = repr(rows).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def client(port):
    while True:
        connection = http.client.HTTPConnection("127.0.0.1", port)
        for _ in range(seeded.randint(20, 60)):
            connection.request("GET", "/")
            connection.getresponse().read()
            time.sleep(0.004)
        connection.close()


if len(sys.argv) > 1:
    client(int(sys.argv[1]))
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
for _ in range(3):
    subprocess.Popen([sys.executable, __file__, str(server.server_address[1])], stdin=subprocess.DEVNULL)
ready()
server.serve_forever()
