"""Run by gdb: tells the stack at each call of the allocator, as gdb sees it.

Speaks JSON lines over the Unix socket STACKS_SOCKET: says the program's pid
once it stands at its first call to be compared, is told when to go on, and
says one list of return addresses for each call, then `null`. Told to record,
it says with each what the registers and the stack hold.
"""

import base64
import json
import os
import socket

import gdb

FRAMES_MAX = 127
# Of a stack that is recorded.
STACK_BYTES_MAX = 256 << 10
# Below the stack pointer, where windows of whole words begin.
BYTES_BELOW = 256

connection = socket.socket(socket.AF_UNIX)
connection.connect(os.environ["STACKS_SOCKET"])
lines = connection.makefile("rw")


def say(what):
    lines.write(json.dumps(what) + "\n")
    lines.flush()


def hear():
    return json.loads(lines.readline())


def callers():
    """Return addresses, from the allocator's caller outwards."""
    found = []
    frame = gdb.newest_frame().older()
    while frame is not None and len(found) < FRAMES_MAX:
        # Jumps leave no frame; gdb may know of them all the same.
        if frame.type() not in (gdb.INLINE_FRAME, gdb.TAILCALL_FRAME):
            found.append(frame.pc())
        frame = frame.older()
    return found


def recorded():
    """Stack pointer, frame pointer and the stack's bytes at the call."""
    frame = gdb.newest_frame()
    start, base = (int(frame.read_register(name)) for name in ("rsp", "rbp"))
    end = next(to for of, to in stack_ranges() if of <= start < to)
    below = start - BYTES_BELOW
    stack = gdb.selected_inferior().read_memory(below, min(end - below, STACK_BYTES_MAX))
    return {
        "stack_start": below,
        "stack_pointer": start,
        "frame_pointer": base,
        "stack": base64.b64encode(stack).decode(),
        "callers": callers(),
    }


def stack_ranges():
    """Where the program's memory can be written to."""
    with open("/proc/%d/maps" % gdb.selected_inferior().pid) as maps:
        ranges = [line.split() for line in maps]
    return [[int(at, 16) for at in it[0].split("-")] for it in ranges if it[1].startswith("rw")]


def runs():
    """Goes on to the next call; whether there is one.

    gdb cannot step over an instruction with a probe of the kernel's, so it
    stops behind it first, where there is none.
    """
    try:
        here = next((it for it in points if it.location == "*%#x" % pc()), None)
        if here is not None:
            here.enabled = False
            step = gdb.Breakpoint(after[here.location], gdb.BP_HARDWARE_BREAKPOINT)
            gdb.execute("continue", to_string=True)
            is_behind = step.location == "*%#x" % pc()
            step.delete()
            here.enabled = True
            if not is_behind:
                # It jumped, and has come to the next call.
                return True
        gdb.execute("continue", to_string=True)
        return gdb.selected_inferior().pid != 0
    except gdb.error:
        return False


def pc():
    return gdb.newest_frame().pc()


def behind(at):
    """The instruction after this one."""
    code = gdb.selected_inferior().architecture().disassemble(at, count=2)
    return "*%#x" % code[1]["addr"]


for setting in [
    "pagination off",
    "confirm off",
    "debuginfod enabled off",
    "breakpoint pending on",
    "backtrace past-main " + os.environ["STACKS_PAST_MAIN"],
    "backtrace past-entry on",
    "print thread-events off",
    "disable-randomization off",
    "follow-fork-mode parent",
]:
    gdb.execute("set " + setting)
gdb.execute("handle SIGPIPE SIGUSR1 SIGUSR2 SIGALRM SIGCHLD nostop noprint pass", to_string=True)
gdb.execute("tbreak " + os.environ["STACKS_START"], to_string=True)
gdb.execute("run", to_string=True)
say(gdb.selected_inferior().pid)
plan = hear()
points = [gdb.Breakpoint("*%#x" % at, gdb.BP_HARDWARE_BREAKPOINT) for at in plan["allocator"]]
after = {point.location: behind(int(point.location[1:], 16)) for point in points}
alive = runs()
for _ in range(plan["skip"]):
    alive = alive and runs()
say(alive)
told = recorded if hear() == "record" else callers
last = None
for _ in range(plan["stops"]):
    if not alive:
        break
    frame = gdb.newest_frame()
    place = (gdb.selected_thread().ptid, int(frame.read_register("rsp")))
    # realloc of nothing jumps to malloc: one call.
    if place != last:
        say(told())
    is_realloc = frame.pc() == plan["realloc"] and int(frame.read_register("rdi")) == 0
    last = place if is_realloc else None
    alive = runs()
say(None)
hear()
gdb.execute("kill")
