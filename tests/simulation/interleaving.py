"""Processes that take turns, one call to AWS at a time, and every order in which they can.

A process is a function that makes calls; each call is a turn. A run follows a schedule: the choice among the processes
that can go on, turn by turn. `explore` goes through all schedules. Where a run comes to a point that another run has
come to (all processes have learned the same, and the cloud holds the same) it ends, for what follows is known.
"""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from functools import cache

from greenlet import GreenletExit, getcurrent, greenlet


class Killed(BaseException):
    """The process died: its machine was lost, or its time was up."""


class _KnownFromHere(BaseException):
    """What follows was seen in another run."""


@dataclass
class Process:
    """One process of a run. It begins once `ready()` holds, and dies at its call number `dies_at`, before that takes
    effect or `after` it (None: never). `learned` stands for all that its calls have answered."""

    name: str
    act: Callable[[], None]
    ready: Callable[[], bool] = lambda: True
    dies_at: int | None = None
    after: bool = False
    calls: int = 0
    learned: int = 0
    over: bool = False
    turn: greenlet | None = None


@dataclass
class Schedule:
    """The choices of a run: those asked for, then the first process each time. `options` is how many there were, and
    `points` where each choice was made."""

    asked: Sequence[int] = ()
    made: list[int] = field(default_factory=list)
    options: list[int] = field(default_factory=list)
    points: list[Hashable] = field(default_factory=list)

    def choose(self, options: int, point: Hashable) -> int:
        turn = len(self.made)
        choice = self.asked[turn] % options if turn < len(self.asked) else 0
        self.made.append(choice)
        self.options.append(options)
        self.points.append(point)
        return choice


@dataclass
class World:
    """What processes act in: `digest()` names all of it that they can meet, or that is judged afterwards."""

    processes: Sequence[Process]
    digest: Callable[[], Hashable]


@dataclass
class Explored:
    """What came of an exploration: `runs` were carried out, and stand for so many `interleavings`."""

    runs: int
    interleavings: int
    complete: bool


_running: dict[greenlet, Process] = {}


def call() -> None:
    """A process is about to call AWS: let others go first if the schedule says so. Raises Killed."""
    process = running()
    if process is None:  # a test looks at what is there
        return
    process.calls += 1
    if process.dies_at is not None and process.calls == process.dies_at + process.after:
        raise Killed
    getcurrent().parent.switch()


def learn(answer: Hashable) -> None:
    """A call has answered."""
    if process := running():
        process.learned = hash((process.learned, answer))


def running() -> Process | None:
    """The process whose turn it is."""
    return _running.get(getcurrent())


def run(world: World, schedule: Schedule, known: frozenset[Hashable] | set[Hashable] = frozenset()) -> bool:
    """Let processes take turns until all are over. False where it came to a point that is known."""
    turns = {greenlet(_body(process)): process for process in world.processes}
    _running.update(turns)
    try:
        while able := [turn for turn, one in turns.items() if not one.over and (one.calls or one.ready())]:
            turn = able[0]
            if len(able) > 1:
                state = tuple((one.calls, one.learned, one.over) for one in world.processes)
                point = hash((state, world.digest()))
                if len(schedule.made) >= len(schedule.asked) and point in known:
                    schedule.points.append(point)
                    return False
                turn = able[schedule.choose(len(able), point)]
            turn.switch()
        return True
    finally:
        for turn in turns:
            if turn:
                turn.throw(GreenletExit)
            del _running[turn]


def explore(make: Callable[[], World], check: Callable[[Schedule], None], most: int) -> Explored:
    """Run fresh processes under every schedule, or `most` of them, and check each run that comes to its end."""
    runs, asked, following = 0, list[int](), True
    known: set[Hashable] = set()
    leads_to: dict[Hashable, dict[int, Hashable]] = {}
    while following and runs < most:
        schedule = Schedule(asked)
        ended = run(make(), schedule, known)
        runs += 1
        if ended:
            check(schedule)
        known.update(schedule.points)
        points = [*schedule.points, None] if ended else schedule.points
        for point, choice, after in zip(points, schedule.made, points[1:], strict=False):
            leads_to.setdefault(point, {})[choice] = after
        turn = max((n for n, made in enumerate(schedule.made) if made + 1 < schedule.options[n]), default=None)
        following = turn is not None
        if turn is not None:
            asked = [*schedule.made[:turn], schedule.made[turn] + 1]

    @cache
    def interleavings(point: Hashable) -> int:
        return sum(1 if after is None else interleavings(after) for after in leads_to.get(point, {}).values())

    first = next(iter(leads_to), None)
    return Explored(runs, interleavings(first) if leads_to else 1, complete=not following)


def _body(process: Process) -> Callable[[], None]:
    def body() -> None:
        try:
            process.act()
        except Killed:
            pass
        finally:
            process.over = True

    return body
