"""How much memory a worker may use, and enforcing it."""

from __future__ import annotations

import os
import sys
from contextlib import suppress

SHARE = 0.8
"""Share of the free memory that a worker may use; the rest is for other processes."""

CGROUPS = (
    ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
    ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes"),
)
"""The container's limit and usage, in both versions of Linux control groups."""


def usual_limit() -> int | None:
    """Return the bytes that a worker may use by default; None if unknown."""
    free = free_bytes()
    return None if free is None else int(free * SHARE)


def free_bytes() -> int | None:
    """Return the bytes of free memory on this machine or in its container."""
    found = [amount for amount in (_machine(), *(_container(*files) for files in CGROUPS)) if amount is not None]
    return min(found, default=None)


def limit_this_process(nbytes: int) -> bool:
    """Make the system limit this process to `nbytes` of memory for data; return False if it cannot."""
    if not sys.platform.startswith("linux"):
        return False  # macOS ignores the limit; Windows has none
    with suppress(ImportError, OSError, ValueError):
        import resource

        _, most = resource.getrlimit(resource.RLIMIT_DATA)
        nbytes = nbytes if most == resource.RLIM_INFINITY else min(nbytes, most)
        resource.setrlimit(resource.RLIMIT_DATA, (nbytes, most))
        return True
    return False


def most_bytes() -> int | None:
    """Return the most bytes of data that this process can have; None if unknown."""
    found = list[int]()
    with suppress(AttributeError, ValueError, OSError):
        found.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    if sys.platform.startswith("linux"):
        with suppress(ImportError, OSError, ValueError):
            import resource

            soft, _ = resource.getrlimit(resource.RLIMIT_DATA)
            found += [soft] if soft != resource.RLIM_INFINITY else []
    return min(found, default=None)


def resident_bytes(pid: int) -> int | None:
    """Return the resident bytes of a process; None if unknown."""
    with suppress(OSError, ValueError, IndexError), open(f"/proc/{pid}/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    if sys.platform == "win32":
        return _resident_on_windows(pid)
    import subprocess

    with suppress(OSError, ValueError, subprocess.SubprocessError):
        said = subprocess.run(["ps", "-o", "rss=", "-p", str(pid)], capture_output=True, check=True, timeout=5)  # noqa: S603, S607 - a tool that every POSIX system has, and a number
        return int(said.stdout) << 10
    return None


def _machine() -> int | None:
    with suppress(OSError, ValueError), open("/proc/meminfo", encoding="ascii") as file:
        for line in file:
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) << 10
    if sys.platform == "win32":
        return _free_on_windows()
    # Other systems do not report free memory as one number; use all memory instead.
    with suppress(AttributeError, ValueError, OSError):
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return None


def _container(limit: str, usage: str) -> int | None:
    with suppress(OSError, ValueError):  # no such file, or its content is "max"
        with open(limit, encoding="ascii") as file:
            most = int(file.read())
        with open(usage, encoding="ascii") as file:
            return max(most - int(file.read()), 0)
    return None


def _free_on_windows() -> int | None:
    import ctypes

    class Status(ctypes.Structure):
        """MEMORYSTATUSEX of sysinfoapi.h."""

        _fields_ = (
            ("dwLength", ctypes.c_uint32),
            ("dwMemoryLoad", ctypes.c_uint32),
            *((name, ctypes.c_ulonglong) for name in (
                "ullTotalPhys", "ullAvailPhys", "ullTotalPageFile", "ullAvailPageFile", "ullTotalVirtual",
                "ullAvailVirtual", "ullAvailExtendedVirtual",
            )),
        )  # fmt: skip

    windll = getattr(ctypes, "windll", None)
    status = Status()
    status.dwLength = ctypes.sizeof(status)
    if windll is None or not windll.kernel32.GlobalMemoryStatusEx(ctypes.byref(status)):
        return None
    return int(status.ullAvailPhys)


def _resident_on_windows(pid: int) -> int | None:
    import ctypes
    from ctypes import wintypes

    class Counters(ctypes.Structure):
        """PROCESS_MEMORY_COUNTERS of psapi.h."""

        _fields_ = (
            ("cb", wintypes.DWORD),
            ("PageFaultCount", wintypes.DWORD),
            *((name, ctypes.c_size_t) for name in (
                "PeakWorkingSetSize", "WorkingSetSize", "QuotaPeakPagedPoolUsage", "QuotaPagedPoolUsage",
                "QuotaPeakNonPagedPoolUsage", "QuotaNonPagedPoolUsage", "PagefileUsage", "PeakPagefileUsage",
            )),
        )  # fmt: skip

    windll = getattr(ctypes, "windll", None)
    if windll is None:
        return None
    query_information = 0x1000
    handle = windll.kernel32.OpenProcess(query_information, False, pid)
    counters = Counters()
    counters.cb = ctypes.sizeof(counters)
    try:
        known = windll.psapi.GetProcessMemoryInfo(handle, ctypes.byref(counters), counters.cb)
        return int(counters.WorkingSetSize) if known else None
    finally:
        windll.kernel32.CloseHandle(handle)
