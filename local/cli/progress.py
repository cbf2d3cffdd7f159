"""Progress bars."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from local.cli.terminal import out, quoted
from local.stack.dropping import Dropped


def bar(console: Console) -> Progress:
    """A progress bar with description, number done of total, and remaining time."""
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
    )


@contextmanager
def steps(console: Console) -> Iterator[Callable[[str], None]]:
    """Print each step. On a terminal the line is replaced; elsewhere each step gets a line."""
    if not console.is_terminal:
        yield lambda doing: console.print(quoted(f"{doing} …"), soft_wrap=True)
        return
    with console.status("Starting …") as status:
        yield lambda doing: status.update(quoted(f"{doing} …"))


@contextmanager
def working(doing: str) -> Iterator[Callable[[str], None]]:
    """Show on a terminal what is being done. The yielded function replaces the text."""
    with out.status(quoted(doing)) as status:
        yield lambda text: status.update(quoted(text))


def track_drop(files: Iterator[Dropped], total: int | None, console: Console) -> Iterator[Dropped]:
    """Yield the files unchanged, show a progress bar, and print a summary at the end."""
    counts: Counter[str] = Counter()
    size_bytes = 0
    with bar(console) as progress:
        task = progress.add_task("Dropping files", total=total)
        for dropped in files:
            counts[dropped.outcome] += 1
            size_bytes += dropped.size_bytes if dropped.outcome == "uploaded" else 0
            progress.update(task, advance=1)
            yield dropped
        progress.update(task, total=sum(counts.values()))
    summary = ", ".join(f"{number} {outcome}" for outcome, number in sorted(counts.items()))
    console.print(quoted(f"Files: {summary} ({size_bytes / 1e6:.1f} MB sent)."), soft_wrap=True)
