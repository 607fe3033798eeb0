"""Threads that hand numbers through a queue and a subprocess; answers at a socket whether none was lost."""

import hashlib
import queue
import socket
import subprocess
import threading
import time

numbers = queue.Queue(maxsize=10)
lock = threading.Lock()
state = {"sent": 0, "received": 0, "thread_ticks": [0] * 8}
table = {i: hashlib.sha256(str(i).encode()).hexdigest() for i in range(20000)}
remembered = {}

child = subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)


def produce():
    number = 0
    while True:
        number += 1
        numbers.put(number)
        with lock:
            state["sent"] = number
        time.sleep(0.002)


def through_child():
    while True:
        child.stdin.write(b"%d\n" % numbers.get())


def consume():
    expected = 0
    for line in child.stdout:
        expected += 1
        if int(line) != expected:
            raise SystemExit(f"expected {expected}, found {line}")
        with lock:
            state["received"] = expected


def tick(index):
    own = threading.local()
    own.index = index
    while True:
        time.sleep(0.01)
        state["thread_ticks"][own.index] += 1


def check():
    if any(table[i] != hashlib.sha256(str(i).encode()).hexdigest() for i in range(20000)):
        return "the table has changed"
    with lock:
        before = dict(state, thread_ticks=list(state["thread_ticks"]))
    for key in ("sent", "received"):
        if before[key] < remembered[key]:
            return f"{key} went back from {remembered[key]} to {before[key]}"
    time.sleep(0.5)
    with lock:
        after = dict(state)
    if after["received"] <= before["received"]:
        return f"the subprocess stands still at {after['received']}"
    for index, ticks in enumerate(before["thread_ticks"]):
        if state["thread_ticks"][index] <= ticks:
            return f"thread {index} stands still"
    if child.poll() is not None:
        return "the subprocess has ended"
    return "good"


for function in (produce, through_child, consume):
    threading.Thread(target=function, daemon=True).start()
for index in range(8):
    threading.Thread(target=tick, args=(index,), daemon=True).start()

server = socket.socket(socket.AF_UNIX)
server.bind("/data/socket")
server.listen()
while True:
    client, _ = server.accept()
    request = client.makefile().read()
    if request == "remember":
        with lock:
            remembered.update(state)
    client.sendall((check() if request == "check" else "").encode())
    client.close()
