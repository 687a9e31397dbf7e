"""Tells what `ss` says of the send queues at a port: the truth of servers that cannot ask themselves."""
import json, os, re, subprocess, sys, time

file = os.open(os.environ["SCENARIO_TRUTH"], os.O_WRONLY | os.O_APPEND)
parent = os.getppid()
while os.getppid() == parent:
    before = time.monotonic_ns()
    command = ["ss", "-tmnH", f"sport = :{sys.argv[1]}"]
    text = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True).stdout
    queued = sum(int(bytes) for bytes in re.findall(r"skmem:\(.*?,w(\d+)", text))
    line = {"ns": (before + time.monotonic_ns()) // 2, "queued_bytes": queued}
    os.write(file, json.dumps(line).encode() + b"\n")
    time.sleep(0.7)
