# Why: a real server: one worker of nginx serving files of several sizes over connections that come and go,
# with a benchmark client (autocannon, from npm).
# Right answer: healthy: its pools go with their requests.
import os, pathlib, shutil, socket, subprocess, tempfile, time

from scenario import ready, seeded

CONFIGURATION = """
daemon off; master_process off; error_log stderr crit; pid {root}/pid;
events {{ worker_connections 512; }}
http {{
  access_log off; client_body_temp_path {root}/body; proxy_temp_path {root}/proxy;
  fastcgi_temp_path {root}/fastcgi; uwsgi_temp_path {root}/uwsgi; scgi_temp_path {root}/scgi;
  gzip on; gzip_types *; keepalive_requests 200;
  server {{ listen 127.0.0.1:{port}; root {root}; }}
}}
"""

with socket.socket() as one:
    one.bind(("127.0.0.1", 0))
    port = one.getsockname()[1]
root = pathlib.Path(tempfile.mkdtemp(prefix="scenario-nginx-"))
root.chmod(0o755)
for name, size in (("small", 500), ("middle", 20000), ("large", 400000)):
    (root / name).write_text("".join(seeded.choice("abcdef \n") for _ in range(size)))
(root / "configuration").write_text(CONFIGURATION.format(root=root, port=port))
server = subprocess.Popen([shutil.which("nginx") or "/usr/sbin/nginx", "-c", str(root / "configuration")])
autocannon = os.environ["SCENARIO_NPM"] + "/autocannon/autocannon.js"
while True:
    with socket.socket() as one:
        if one.connect_ex(("127.0.0.1", port)) == 0:
            break
    time.sleep(0.05)


def load(seconds):
    name = seeded.choice(["small", "middle", "large"])
    command = ["node", autocannon, "-c", "20", "-d", str(seconds), "-R", "600", f"http://127.0.0.1:{port}/{name}"]
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


load(2).wait()
ready(server.pid)
while True:
    load(2).wait()
