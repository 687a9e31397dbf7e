# Objects, strings, dictionaries, compression and threads.
import json
import threading
import zlib

kept = [json.dumps({"number": n, "text": "x" * (n % 600)}) for n in range(20000)]


def work():
    for _ in range(50):
        zlib.decompress(zlib.compress("".join(kept[:200]).encode()))


threads = [threading.Thread(target=work) for _ in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(len(kept))
