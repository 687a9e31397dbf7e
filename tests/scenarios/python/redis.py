# Why: a real server: redis-server (jemalloc) at its memory limit, evicting, under redis-benchmark with keys
# and sizes at random. It is filled before the window, so that only the churn is seen.
# Right answer: healthy: what it holds is at its limit.
import os, signal, socket, subprocess, tempfile, time

from scenario import ready, seeded


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


port = str(free_port())
directory = tempfile.mkdtemp(prefix="scenario-redis-")
server = subprocess.Popen(
    ["redis-server", "--port", port, "--bind", "127.0.0.1", "--save", "", "--dir", directory]
    + ["--maxmemory", "40mb", "--maxmemory-policy", "allkeys-lru"],
    stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
)


def load(*arguments):
    command = ["redis-benchmark", "-p", port, "-q", "-t", "set,get", "-r", "200000", *arguments]
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


while True:
    with socket.socket() as one:
        if one.connect_ex(("127.0.0.1", int(port))) == 0:
            break
    time.sleep(0.05)
load("-n", "150000", "-d", "1000", "-P", "16").wait()
ready(server.pid)
while True:
    load("-n", "20000", "-d", str(seeded.randint(100, 2000)), "-c", "20").wait()
