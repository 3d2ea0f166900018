"""The machine that a measurement was made on."""

import os
import platform
import time
from pathlib import Path


def facts() -> dict[str, str | int | float]:
    """Processor, cores, memory, Python and system, and the time."""
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if "model name" in line
        ),
        platform.processor(),
    )
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "cpu": model,
        "cores": os.cpu_count() or 0,
        "memory_gib": round(memory, 1),
        "python": platform.python_version(),
        "system": platform.system(),
        "measured_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }
