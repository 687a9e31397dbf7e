# Why: a Python program whose extension leaks: the bytes are malloc's, past pymalloc, and the function that
# leaks is C beneath the interpreter's frames.
# Right answer: leak, of `decode_thumbnail`.
import ctypes, os, time

from scenario import counters, ready, seeded

library = ctypes.CDLL(os.environ["SCENARIO_LIBRARY"])
library.decode_thumbnail.argtypes = [ctypes.c_ulong]
library.decode_thumbnail.restype = ctypes.c_ulong


def thumbnail(size):
    counters["leaked_bytes"] += library.decode_thumbnail(size)


ready()
while True:
    for _ in range(4):
        thumbnail(seeded.randint(2000, 20000))
    cached = [str(number) * 10 for number in range(100)]
    time.sleep(0.02)
