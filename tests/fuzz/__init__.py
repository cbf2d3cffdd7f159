"""Hostile input: mutations of a kept corpus against everything that reads what somebody else wrote.

    python -m tests.fuzz                            100,000 cases a target, each target in a process of limited memory
    python -m tests.fuzz image --cases 5000       one of them, fewer
    python -m tests.fuzz.seeds                      write the corpus anew

A target is a module of `targets` with `feed(data) -> str`, which names what became of the input (a result or a typed
rejection) and raises whatever nobody should ever see. A breach leaves its input in `build/fuzz/<target>.bin`; put it in
the corpus once it is mended.
"""
