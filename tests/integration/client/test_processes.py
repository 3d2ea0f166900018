"""Forks and the end of the process: no row is sent twice, none is forgotten, nothing hangs."""

import os
import subprocess
import sys
import textwrap

import pytest

from labeling.models import Item, Project
from tests.integration.client.flaky_proxy import FlakyProxy

pytestmark = pytest.mark.django_db(transaction=True)

_BEGINNING = """
import os, sys, threading
from feedback_client import Client, Options
client = Client(sys.argv[1], "pets", sys.argv[2], options=Options(linger_seconds=600.0, exit_seconds=float(sys.argv[3])))
def log(*keys):
    for key in keys:
        assert client.log_prediction(key, model_version="m1", probabilities=[0.7, 0.2, 0.1], payload={"text": key})
"""


def _run(
    script: str, proxy: FlakyProxy, key: str, *, exit_seconds: float = 30.0, go_after: int | None = None
) -> "subprocess.CompletedProcess[str]":
    """The script in a process of its own; a line comes on its standard input once the proxy saw `go_after` requests."""
    command = [sys.executable, "-c", _BEGINNING + textwrap.dedent(script), proxy.url, key, str(exit_seconds)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    pipe = subprocess.PIPE
    with subprocess.Popen(command, env=environment, stdin=pipe, stdout=pipe, stderr=pipe, text=True) as process:
        try:
            if go_after is not None:
                proxy.wait_for_requests(go_after)
            out, errors = process.communicate("go\n", timeout=120)
        finally:
            process.kill()
    return subprocess.CompletedProcess(command, process.returncode, out, errors)


def _keys() -> set[str]:
    return set(Item.objects.values_list("key", flat=True))


def test_leaving_the_interpreter_sends_what_is_queued(proxy: FlakyProxy, pets: Project, secret_key: str) -> None:
    done = _run('log("a", "b")', proxy, secret_key)
    assert (done.returncode, done.stderr) == (0, "")
    assert _keys() == {"a", "b"}
    assert len(proxy.seen) == 1


def test_leaving_sends_rows_also_where_no_thread_can_be_started(
    proxy: FlakyProxy, pets: Project, secret_key: str
) -> None:
    script = """
    def refuse(self):
        raise RuntimeError("can't create new thread at interpreter shutdown")
    threading.Thread.start = refuse
    log("a", "b")
    """
    proxy.faults.append("cut_before")
    done = _run(script, proxy, secret_key)
    assert (done.returncode, _keys(), len(proxy.seen)) == (0, {"a", "b"}, 2)


def test_leaving_does_not_wait_for_a_service_that_hangs(proxy: FlakyProxy, pets: Project, secret_key: str) -> None:
    proxy.faults.append("hang")
    done = _run('log("a", "b")', proxy, secret_key, exit_seconds=0.3)
    assert done.returncode == 0
    assert "The process ends with 2 rows unsent." in done.stderr
    assert _keys() == set()


def test_a_failing_app_still_sends_what_it_logged(proxy: FlakyProxy, pets: Project, secret_key: str) -> None:
    done = _run('log("a")\nraise SystemExit(3)', proxy, secret_key)
    assert (done.returncode, _keys()) == (3, {"a"})


def test_a_forked_child_sends_its_own_rows_and_the_parent_the_parents(
    proxy: FlakyProxy, pets: Project, secret_key: str
) -> None:
    script = """
    log("parent-1", "parent-2")
    child = os.fork()
    if child == 0:
        ok = client.stats.accepted == 0
        log("child")
        ok = ok and client.flush(30.0)
        ok = ok and (client.stats.accepted, client.stats.delivered) == (1, 1)
        os._exit(0 if ok else 1)
    assert os.waitpid(child, 0)[1] == 0
    log("parent-3")
    assert client.flush(30.0)
    assert client.stats.delivered == 3, client.stats
    """
    done = _run(script, proxy, secret_key)
    assert (done.returncode, done.stderr) == (0, "")
    assert _keys() == {"parent-1", "parent-2", "parent-3", "child"}
    assert len(proxy.seen) == 2  # none of the parent's rows came from the child as well


def test_a_fork_in_the_middle_of_a_request_leaves_the_child_able_to_send(
    proxy: FlakyProxy, pets: Project, secret_key: str
) -> None:
    proxy.faults.append("hang")
    script = """
    log("parent")
    flushing = threading.Thread(target=client.flush, args=(60.0,))
    flushing.start()
    sys.stdin.readline()
    child = os.fork()
    if child == 0:
        log("child")
        os._exit(0 if client.flush(30.0) and client.stats.delivered == 1 else 1)
    assert os.waitpid(child, 0)[1] == 0
    os._exit(0)
    """
    done = _run(script, proxy, secret_key, go_after=1)
    assert (done.returncode, done.stderr) == (0, "")
    assert _keys() == {"child"}


def test_a_client_made_before_a_server_forks_its_workers_costs_nothing_and_works_in_each(
    proxy: FlakyProxy, pets: Project, secret_key: str
) -> None:
    script = """
    assert threading.active_count() == 1
    children = []
    for number in range(3):
        child = os.fork()
        if child == 0:
            log(f"worker-{number}")
            os._exit(0 if client.flush(30.0) else 1)
        children.append(child)
    assert [os.waitpid(child, 0)[1] for child in children] == [0, 0, 0]
    assert threading.active_count() == 1
    """
    done = _run(script, proxy, secret_key)
    assert (done.returncode, done.stderr) == (0, "")
    assert _keys() == {"worker-0", "worker-1", "worker-2"}
