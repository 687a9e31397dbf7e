"""What the scenarios in Python share: a seed, a barrier, and telling their truth; see c/scenario.h."""
import json, os, random, sys, threading, time

counters = {"leaked_bytes": 0}
seeded = random.Random(int(os.environ.get("SCENARIO_SEED", "1")))
_went = threading.Event()


def anonymous_bytes(pid="self"):
    """Resident and anonymous, bytes: /proc/PID/statm's second field less its third."""
    with open(f"/proc/{pid}/statm", "rb") as file:
        fields = file.read().split()
    return (int(fields[1]) - int(fields[2])) * 4096


def _listen():
    for _ in sys.stdin:
        _went.set()
    os._exit(0)


def _tell(file, pid):
    while True:
        line = {"ns": time.monotonic_ns(), "pid": pid, **counters, "anonymous_bytes": anonymous_bytes(pid)}
        os.write(file, json.dumps(line).encode() + b"\n")
        time.sleep(0.1)


def ready(pid=None):
    """From here on the truth is told, of this process or of the one that is to be traced."""
    path = os.environ.get("SCENARIO_TRUTH", "/dev/stdout")
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    threading.Thread(target=_listen, daemon=True).start()
    threading.Thread(target=_tell, args=(file, pid or os.getpid()), daemon=True).start()


def wait_for_go():
    """Waits until memtrace traces."""
    _went.wait()
