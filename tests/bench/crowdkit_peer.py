"""crowd-kit (extra `bench`) in a process of its own. Run as a script it reads answers from a .npz file and writes labels and seconds."""

import json
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from importlib import util
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

METHODS = ("MajorityVote", "DawidSkene", "MACE", "GLAD", "OneCoinDawidSkene")


@dataclass(frozen=True)
class Outcome:
    """Position of the class of each item (items nobody answered: -1), and the seconds it took: by the clock and of the CPU."""

    labels: NDArray[np.int64]
    seconds: float
    cpu_seconds: float


def is_installed() -> bool:
    return util.find_spec("crowdkit") is not None


def aggregate(
    method: str,
    item: NDArray[np.int64],
    source: NDArray[np.int64],
    answer: NDArray[np.int64],
    n_items: int,
    *,
    rounds: int | None = None,
) -> Outcome | None:
    """Labels by a method of crowd-kit; None without crowd-kit. Always in a process of its own, so that memory does not mix."""
    if not is_installed():
        return None
    with tempfile.TemporaryDirectory() as directory:
        given, found = Path(directory) / "given.npz", Path(directory) / "found.json"
        np.savez(given, item=item, source=source, answer=answer)
        command = [sys.executable, str(Path(__file__).resolve()), method, str(given), str(found), str(rounds or 0)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        said = json.loads(found.read_text())
    labels = np.full(n_items, -1, dtype=np.int64)
    labels[np.array(said["item"], dtype=np.int64)] = said["label"]
    return Outcome(labels, said["seconds"], said["cpu_seconds"])


def _script(method: str, given: str, found: str, rounds: int) -> None:
    import pandas as pd  # noqa: PLC0415 - only this process has both
    from crowdkit import aggregation  # noqa: PLC0415 - only this process has it

    columns = np.load(given)
    frame = pd.DataFrame({"task": columns["item"], "worker": columns["source"], "label": columns["answer"]})
    arguments = {"n_iter": rounds, "tol": 0} if rounds else {}
    model = getattr(aggregation, method)(**arguments)
    begin, cpu = time.perf_counter(), time.process_time()
    labels = model.fit_predict(frame)
    seconds, cpu = time.perf_counter() - begin, time.process_time() - cpu
    said = {
        "item": [int(task) for task in labels.index],
        "label": [int(label) for label in labels],
        "seconds": seconds,
        "cpu_seconds": cpu,
    }
    Path(found).write_text(json.dumps(said))


if __name__ == "__main__":
    _script(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]))
