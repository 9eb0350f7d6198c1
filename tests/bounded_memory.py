"""A bound on what this process may take, for tests of files that declare huge sizes."""

import resource
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def bounded(more=1 << 30):
    """At most so many bytes more of address space than now; beyond it MemoryError is raised."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + more, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)
