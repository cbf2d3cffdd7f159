from tests.emulator.conftest import embedded, stack  # noqa: F401
