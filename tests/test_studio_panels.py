"""The worker behind every panel: one job at a time, the newest, in a thread that stays for a while."""

import gc
import threading
import time
import weakref

import pytest

pytest.importorskip("anywidget", reason="panels come with the extra course")

from nst_lib.studio import panels
from nst_lib.studio.panels import Worker

PATIENCE = 20  # seconds


@pytest.fixture
def worker():
    failures = []
    worker = Worker(failures.append)
    worker.failures = failures
    yield worker
    worker.finish()


def threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "nst-worker"]


def until(what) -> None:
    """Wait until `what()` is true."""
    end = time.monotonic() + PATIENCE
    while not what():
        assert time.monotonic() < end
        time.sleep(0.005)


def test_jobs_share_a_thread_that_ends_with_the_worker(worker):
    seen = []
    for _ in range(3):
        worker.run(lambda _: seen.append(threading.current_thread()))
        worker.wait(PATIENCE)
    assert len(seen) == 3 and len(set(seen)) == 1 and seen[0].is_alive() and not worker.busy
    worker.close()
    assert not seen[0].is_alive()


def test_the_thread_of_an_idle_worker_ends_and_the_next_job_gets_another(worker, monkeypatch):
    monkeypatch.setattr(panels, "LINGER", 0.05)
    seen = []
    for _ in range(2):
        worker.run(lambda _: seen.append(threading.current_thread()))
        worker.wait(PATIENCE)
        until(lambda: not seen[-1].is_alive())
    assert len(set(seen)) == 2


def test_a_newer_job_replaces_the_one_that_runs_and_the_one_that_waits(worker):
    began, go_on, done = threading.Event(), threading.Event(), []

    def long(cancelled):
        began.set()
        go_on.wait(PATIENCE)
        done.append(("first", cancelled.is_set()))

    worker.run(long)
    assert began.wait(PATIENCE)
    worker.run(lambda _: done.append("second"))
    worker.run(lambda cancelled: done.append(("third", cancelled.is_set())))
    assert worker.busy
    go_on.set()
    worker.wait(PATIENCE)
    assert done == [("first", True), ("third", False)]


def at_work(every):
    """A worker whose first job runs until the event is set, and then notes whether it was cancelled."""
    worker, began, go_on, done = Worker(lambda _: None, every), threading.Event(), threading.Event(), []

    def first(cancelled):
        began.set()
        go_on.wait(PATIENCE)
        done.append(cancelled.is_set())

    worker.run(first)
    assert began.wait(PATIENCE)
    return worker, go_on, done


def test_where_every_job_is_wanted_none_is_left_out_or_cancelled():
    worker, go_on, done = at_work(every=True)
    for _ in range(3):
        worker.run(lambda cancelled: done.append(cancelled.is_set()))
    go_on.set()
    worker.finish()
    assert done == [False] * 4


def test_a_failure_and_what_it_holds_is_forgotten_with_the_next_job(worker):
    class Large:
        pass

    def fail(_):
        large = Large()
        gone.append(weakref.ref(large))
        raise ValueError("no")

    gone = []
    worker.run(fail)
    until(lambda: not worker.busy)
    worker.failures.clear()
    worker.run(lambda _: None)
    worker.wait(PATIENCE)
    gc.collect()
    assert gone[0]() is None


def test_a_head_start_ends_with_the_job_or_when_it_is_over(worker):
    done, go_on = [], threading.Event()
    worker.run(lambda _: (time.sleep(0.05), done.append(1)), head_start=PATIENCE)
    assert done == [1] and not worker.busy
    began = time.monotonic()
    worker.run(lambda _: go_on.wait(PATIENCE), head_start=0.1)
    assert 0.1 <= time.monotonic() - began < PATIENCE / 2 and worker.busy
    go_on.set()


def test_a_cancelled_job_that_has_not_begun_never_does(worker):
    began, go_on, done = threading.Event(), threading.Event(), []
    worker.run(lambda _: (began.set(), go_on.wait(PATIENCE)))
    assert began.wait(PATIENCE)
    worker.run(lambda _: done.append(1))
    worker.cancel()
    go_on.set()
    worker.wait(PATIENCE)
    assert done == []


def test_failures_are_told_and_raised_once_and_the_worker_goes_on(worker):
    def fail(_):
        raise ValueError("no")

    worker.run(fail)
    with pytest.raises(ValueError, match="no"):
        worker.wait(PATIENCE)
    assert [str(problem) for problem in worker.failures] == ["no"]
    done = []
    worker.run(lambda _: done.append(1))
    worker.wait(PATIENCE)
    assert done == [1]


@pytest.mark.parametrize("every", [False, True])
def test_once_closed_nothing_begins_any_more(every):
    worker, go_on, done = at_work(every)
    for _ in range(2):
        worker.run(lambda _: done.append("waited"))
    worker.close()
    worker.run(lambda _: done.append("too late"), head_start=PATIENCE)
    go_on.set()
    worker.wait(PATIENCE)
    until(lambda: not threads())
    assert done == [True] and not worker.busy


def test_close_does_not_wait_for_a_job_and_finish_does(worker):
    began, go_on, done = threading.Event(), threading.Event(), []

    def long(cancelled):
        began.set()
        go_on.wait(PATIENCE)
        done.append(cancelled.is_set())

    worker.run(long)
    assert began.wait(PATIENCE)
    (thread,) = threads()
    with pytest.raises(TimeoutError, match="still at work"):
        worker.wait(0.01)
    worker.close()
    assert done == [] and thread.is_alive()
    go_on.set()
    thread.join(PATIENCE)
    assert done == [True] and threads() == []

    another = Worker(lambda _: None)
    another.run(lambda _: (time.sleep(0.05), done.append("written")))
    another.finish()
    assert done == [True, "written"] and threads() == []
