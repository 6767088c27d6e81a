"""The queue of labels and the watch over a printer, whatever its language.

The one rule: nothing is printed twice. A job is never repeated; its caller is told whether the
label may have come out, and a person chooses.

`run` alone touches the port. It asks for the condition every two seconds; between two looks it
takes one job at a time: look, send, then wait until the printer says that it is out. Inside a job's
bytes nothing else is sent, and nothing is asked while it comes out unless the language allows it.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import suppress

from devices.errors import Lost
from devices.ports import Line, Port, node, open_port, plugged
from printer.label import Label
from printer.language import SILENT, Condition, Finished, Language, Reply, Told
from printer.layout import HEIGHT_MM
from printer.printer import NotPrinted, Paper, Printer, Still, Withdrawn

POLL = 2.0
"""Seconds between two looks at an idle printer."""
GLANCE = 0.25
"""Seconds between two looks while a label is coming out."""
SILENCE = 30.0
"""Seconds of silence after which the connection itself is given up, to be made again."""
SETTLING = 0.25
"""Seconds without another answer after which no late one is still to come."""
SLOWEST = 20
"""Millimetres a second: a printer slower than this counts as stuck, or as never saying that a
label is out."""

PASSING = ("printer.silent", "printer.offline", "printer.hot")
"""Troubles that may end by themselves while a label is coming out."""

_BLANK = Label("", "", "", "", "0000000000000", "", "", "")


class _Job:
    def __init__(self, label: Label, still: Still | None) -> None:
        self.label = label
        self.still = still
        self.result: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @property
    def settled(self) -> bool:
        """Printed, failed, or its caller has gone."""
        return self.result.done()

    def printed(self) -> None:
        if not self.settled:
            self.result.set_result(None)

    def failed(self, failure: NotPrinted | Withdrawn) -> None:
        if not self.settled:
            self.result.set_exception(failure)


class _Memory:
    """What a printer has shown of itself in the daemon's life, over all connections."""

    says_finished = False
    """It has said once that a label is out: one of which it does not say so is in doubt."""
    made_again = False
    """The connection was made again, perhaps because somebody switched the printer off and on, and
    no label was sent since: the first one is in doubt unless the printer says that it is out.
    """


class SpooledPrinter(Printer):
    """A printer behind a port. A driver is a subclass that gives it its port and its language."""

    def __init__(self, name: str, port: str, line: Line, language: Language) -> None:
        super().__init__(name)
        self._port = port
        self._line = line
        self._language = language
        self._jobs: deque[_Job] = deque()
        self._news = asyncio.Event()
        self._running = False
        self._condition = Condition()
        """As last shown."""
        self._torn = False
        """A job was sent, and the printer may still be waiting for the rest of it."""
        self._memory = _Memory()

    async def plugged(self) -> None:
        await plugged(self._port)

    def node(self) -> object:
        return node(self._port)

    def preview(self, label: Label) -> bytes:
        return self._language.preview(label)

    async def print(self, label: Label, still: Still | None = None) -> None:
        """As `Printer.print`; callers wait for their turn.

        A caller that is cancelled before its turn prints nothing; after that, the label comes
        out whole all the same.
        """
        if not self._running:
            raise NotPrinted("printer.absent", sure=True)
        job = _Job(label, still)
        self._jobs.append(job)
        self._news.set()
        await job.result

    async def run(self) -> None:
        # Pillow and the fonts are loaded now, beside the loop, and not for the first customer.
        await asyncio.to_thread(self._language.encode, _BLANK)
        try:
            async with open_port(self._port, self._line) as port:
                self._running = True
                greeting = self._language.begin()
                talk = _Talk(port, self._language, self._show, self._memory)
                async with asyncio.TaskGroup() as group:
                    group.create_task(talk.listen(), name=f"{self.name} listens")
                    group.create_task(self._serve(port, talk, greeting), name=f"{self.name} serves")
        except ExceptionGroup as failures:
            raise self._why(failures.exceptions[0]) from None
        finally:
            self._running = False
            self._memory.made_again = True
            while self._jobs:
                key = self._condition.trouble or "printer.lost"
                self._jobs.popleft().failed(NotPrinted(key, sure=True))

    def _why(self, failure: Exception) -> Exception:
        """A printer that takes no more bytes may have said why: then a person can mend that."""
        stuck = isinstance(failure, Lost) and failure.key == "device.silent"
        said = self._condition.trouble not in ("", SILENT.trouble)
        return Lost(self._condition.trouble) if stuck and said else failure

    async def _serve(self, port: Port, talk: "_Talk", greeting: bytes) -> None:
        if self._torn:
            await port.write(self._language.mend())
            self._torn = False
        if greeting:
            await port.write(greeting)
        heard = asyncio.get_running_loop().time()
        while True:
            condition = await self._look(talk)
            now = asyncio.get_running_loop().time()
            heard = heard if condition == SILENT else now
            if now - heard > SILENCE:
                raise Lost("device.silent")
            if self._jobs:
                await self._do(self._jobs.popleft(), condition, port, talk)
                continue
            self._news.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(POLL):
                    await self._news.wait()

    async def _look(self, talk: "_Talk") -> Condition:
        condition = Condition()
        if self._language.questions:
            condition = await talk.ask()
            if talk.told:
                # What it said meanwhile may be newer than its first answers.
                condition = await talk.ask()
        self._show(condition)
        return condition

    def _show(self, condition: Condition) -> None:
        self._condition = condition
        self.paper.set(condition.paper)
        if condition.trouble:
            self.is_degraded(condition.trouble)
        elif condition.paper is Paper.LOW:
            self.is_degraded("printer.paper_low")
        else:
            self.is_up()

    async def _do(self, job: _Job, condition: Condition, port: Port, talk: "_Talk") -> None:
        """`condition` has just been asked for."""
        if condition.trouble:
            job.failed(NotPrinted(condition.trouble, sure=True))
        if job.settled:
            return
        try:
            data = await self._ready(job)
            if data is None:
                return
            sent = asyncio.get_running_loop().time() + self._sending(len(data))
            self._torn = True
            talk.expect_finished()
            await port.write(data)
            if self._language.questions:
                await self._wait_until_out(sent, talk)
        except NotPrinted as failure:
            job.failed(failure)
            # What a printer could not take, a serial line has lost: it may still wait for that.
            self._torn = self._torn and _serial(self._port)
        except BaseException:
            # A printer without paper may take no more bytes: then that is what to tell.
            job.failed(NotPrinted(self._condition.trouble or "printer.lost", sure=not self._torn))
            raise
        else:
            job.printed()
            self._torn = False

    async def _ready(self, job: _Job) -> bytes | None:
        """What is sent; None when the label has become untrue meanwhile."""
        data = await asyncio.to_thread(self._language.encode, job.label)
        if job.still is not None and not await job.still():
            job.failed(Withdrawn())
            return None
        return self._language.mend() + data if self._torn else data

    def _sending(self, size: int) -> float:
        """Seconds that a serial line takes for so many bytes."""
        return size * 10 / self._line.baud if _serial(self._port) else 0

    async def _wait_until_out(self, sent: float, talk: "_Talk") -> None:
        """Raises `NotPrinted` (unsure) when something keeps the label in.

        `sent`: when the line will have carried the job. A question before that only queues behind.
        """
        loop = asyncio.get_running_loop()
        end = max(sent, loop.time()) + 2 * HEIGHT_MM / SLOWEST
        while not await talk.finished(GLANCE):
            now = loop.time()
            late = now > end
            condition, out = self._condition, False
            asks = late or (self._language.real_time and now > sent)
            if condition.trouble in ("", *PASSING) and asks:
                condition = await self._look(talk)
                out = condition.printing is False
            if condition.trouble:
                if late or condition.trouble not in PASSING:
                    # What it has in its memory may still come out, once a person has mended it.
                    raise NotPrinted(condition.trouble, sure=False)
            elif out or late:
                # If late, it answers and is well. It never says that a label is out; or it does,
                # and has lost this one: somebody switched it off and on.
                if not talk.forget_finished() and not out:
                    raise NotPrinted("printer.lost", sure=False)
                return


def _serial(port: str) -> bool:
    return port.startswith("rfc2217:") or (port.startswith("/") and "/usb/lp" not in port)


class _Talk:
    """Questions to the printer, and what it says, asked or not, on one connection."""

    def __init__(
        self, port: Port, language: Language, show: Callable[[Condition], None], memory: _Memory
    ) -> None:
        self._port = port
        self._language = language
        self._show = show
        self._memory = memory
        self._reply: asyncio.Future[bytes] | None = None
        self._owed = 0
        """Jobs sent that it has not said to be finished."""
        self._said_in_job = False
        """It has said so since the newest job was sent, be it of one before."""
        self._unanswered = False
        """A question was left without an answer, which may still come."""
        self._finished = asyncio.Event()
        self.told = False
        """It has told its condition by itself since it was last asked."""

    async def listen(self) -> None:
        """Sort what the printer sends, until the port fails."""
        while True:
            for heard in self._language.feed(await self._port.read()):
                match heard:
                    case Reply(data) if self._reply and not self._reply.done():
                        self._reply.set_result(data)
                    case Told(condition):
                        self.told = True
                        self._show(condition)
                    case Finished() if self._owed:
                        self._memory.says_finished = self._said_in_job = True
                        self._owed -= 1
                        if not self._owed:
                            self._finished.set()
                    case _:
                        pass  # answers that nobody waits for any more

    async def ask(self) -> Condition:
        """One unanswered question, and the others are not asked."""
        self.told = False
        answers: list[bytes] = []
        try:
            for question in self._language.questions:
                answers.append(await self._answer(question))
                if self._unanswered:
                    # To which question, of several, it does not say. The rest may come in a crowd.
                    answers.clear()
                    await self._hear_out()
                    self._unanswered = False
                    return await self.ask()
        except TimeoutError:
            # A late answer must not be taken for that to the next question.
            self._unanswered = True
            await asyncio.sleep(self._language.patience)
        return self._language.conclude(answers)

    async def _answer(self, question: bytes = b"", patience: float | None = None) -> bytes:
        """The next answer; raises `TimeoutError`."""
        self._reply = asyncio.get_running_loop().create_future()
        await self._port.write(question)
        async with asyncio.timeout(patience or self._language.patience):
            return await self._reply

    async def _hear_out(self) -> None:
        """Return when no more answers come; raises `TimeoutError` when they do not end."""
        async with asyncio.timeout(4 * self._language.patience):
            with suppress(TimeoutError):
                while True:
                    await self._answer(patience=SETTLING)

    def expect_finished(self) -> None:
        """A job is about to be sent. One still owed from before is finished before it."""
        self._owed += 1
        self._said_in_job = False
        self._finished.clear()

    def forget_finished(self) -> bool:
        """Expect no more of the jobs sent. False when it ought to have said that they are out."""
        says = self._memory.says_finished or self._memory.made_again
        self._owed, self._memory.made_again = 0, False
        return self._said_in_job or not says

    async def finished(self, timeout: float) -> bool:
        """Whether all jobs have been said to be finished within so many seconds."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                await self._finished.wait()
        return self._finished.is_set()
