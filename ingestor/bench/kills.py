"""SIGKILL at random moments: `python -m bench.kills [kills]`."""

from __future__ import annotations

import random
import sys
import threading
import time

from bench.support import counted, publish, record, table
from tests.support.waiting import wait_until

_PER_BLOCK = 500


def main(kills: int = 200) -> None:
    """Kill the service while a stream flows; every acknowledged event has to be in the database."""
    chance = random.Random(1)
    with record() as (broker, database, service):
        stop = threading.Event()
        published = 0

        def stream() -> None:
            nonlocal published
            while not stop.is_set():
                publish(broker.port, published, _PER_BLOCK, 1000)
                published += _PER_BLOCK

        thread = threading.Thread(target=stream)
        thread.start()
        began = time.monotonic()
        for _ in range(kills):
            # From before the first connection to the middle of writes.
            time.sleep(chance.uniform(0.2, 1.6))
            service.kill()
            service.start(wait=False)
        stop.set()
        thread.join()
        took = time.monotonic() - began
        service.wait_until_alive()
        wait_until(lambda: counted(database)[1] >= published, 180)
        points, different = counted(database)
        table(
            f"{kills} random SIGKILLs",
            [
                ("events acknowledged by the broker", published),
                ("different events in InfluxDB", different),
                ("lost", published - different),
                ("stored twice", points - different),
                ("took", f"{took:.0f} s"),
            ],
        )


if __name__ == "__main__":
    main(*(int(a) for a in sys.argv[1:]))
