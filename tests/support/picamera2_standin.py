"""Plays picamera2 where there is no libcamera: the calls that camera/pi.py makes, on threads.

As in the library (0.3.3x): an encoder writes whole JPEGs to its output from a thread of its own, a
job's signal function runs in the camera's thread, and a completed request must be released.
"""

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from support.cameras import picture


class World:
    """What the test moves and sees."""

    def __init__(self) -> None:
        self.cameras = 1
        self.busy = False
        self.dead = False
        """The sensor stopped: no frame, and no job ends."""
        self.open = 0
        self.requests = 0
        """Completed requests that were not released."""
        self.cancelled = 0
        self.threads: set[str] = set()


class Request:
    def __init__(self, world: World) -> None:
        self._world = world
        world.requests += 1

    def release(self) -> None:
        self._world.requests -= 1

    def save(self, name: str, file: Any, format: str) -> None:  # noqa: A002 (the library's)
        assert (name, format) == ("main", "jpeg")
        file.write(picture(7, (2304, 1296)))


class Job:
    def __init__(self, request: Request) -> None:
        self._request = request

    def get_result(self, timeout: float) -> Request:
        return self._request


def modules(world: World) -> dict[str, ModuleType]:
    class Picamera2:
        def __init__(self, number: int) -> None:
            if world.busy:
                raise RuntimeError("Camera __init__ sequence did not complete.")
            self.camera_controls = {"AfMode": (0, 2, 0)}
            self._jobs: list[Callable[[Job], None]] = []
            self._output: Any = None
            self._stop = threading.Event()
            self._thread: threading.Thread | None = None
            world.open += 1

        @staticmethod
        def global_camera_info() -> list[dict[str, int]]:
            return [{"Num": number} for number in range(world.cameras)]

        def create_video_configuration(self, **wanted: Any) -> dict[str, Any]:
            return wanted

        def configure(self, wanted: dict[str, Any]) -> None:
            assert wanted["main"]["size"] == (2304, 1296)

        def set_controls(self, controls: dict[str, int]) -> None:
            assert controls == {"AfMode": 2}

        def start_encoder(self, _encoder: object, output: Any, name: str) -> None:
            assert name == "lores"
            self._output = output

        def start(self) -> None:
            self._thread = threading.Thread(target=self._film, name="camera", daemon=True)
            self._thread.start()

        def _film(self) -> None:
            number = 0
            while not self._stop.wait(0.03):
                if world.dead:
                    continue
                number += 1
                self._output.file.write(picture(number, (64, 36)))
                while self._jobs:
                    self._jobs.pop()(Job(Request(world)))

        def capture_request(self, wait: bool, signal_function: Callable[[Job], None]) -> None:
            assert not wait
            self._jobs.append(signal_function)

        def cancel_all_and_flush(self) -> None:
            world.cancelled += len(self._jobs)
            self._jobs.clear()

        def stop_encoder(self) -> None:
            self._stop.set()

        def close(self) -> None:
            world.threads.add(threading.current_thread().name)
            if self._thread:
                self._thread.join()
            world.open -= 1

    class FileOutput:
        def __init__(self, file: Any) -> None:
            self.file = file

    found = {name: ModuleType(name) for name in ("picamera2", *_PARTS)}
    found["picamera2"].Picamera2 = Picamera2
    found["picamera2.encoders"].MJPEGEncoder = object
    found["picamera2.outputs"].FileOutput = FileOutput
    return found


_PARTS = ("picamera2.encoders", "picamera2.outputs")


@contextmanager
def picamera2() -> Iterator[World]:
    """The library is installed as long as the block lasts."""
    world = World()
    stand_ins = modules(world)
    sys.modules.update(stand_ins)
    try:
        yield world
    finally:
        for name in stand_ins:
            del sys.modules[name]
        end = time.monotonic() + 10
        while world.open and time.monotonic() < end:
            time.sleep(0.01)
