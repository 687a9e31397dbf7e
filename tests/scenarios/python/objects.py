# Why: dicts and lists that a module keeps. Python takes small objects from pymalloc, which maps
# arenas: to malloc nothing happens at all, and the stacks are of the arenas' growth.
# Right answer: leak, and said to be pymalloc's arenas. Bytes: of the pool, which is all that is
# anonymous and grows here.
import time

from scenario import ready, seeded

orders = []


def remember_order(number):
    orders.append({"id": number, "lines": [str(number + line) for line in range(seeded.randint(3, 20))]})


for number in range(2000):
    remember_order(number)
ready()
number = 2000
while True:
    for _ in range(40):
        remember_order(number)
        number += 1
    time.sleep(0.02)
