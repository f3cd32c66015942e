"""Workers of a campaign: processes on all cores of this machine, or the workers of an existing Dask cluster."""

import importlib
import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from typing import Any, TypeVar

from agent.campaign.spec import CampaignError

T = TypeVar("T")
R = TypeVar("R")
AHEAD = 4
"""Runs queued for each worker besides the current one."""
CONNECT_S = 10


def on_cores(jobs: int, work: Callable[[T], R], tasks: Sequence[T]) -> Iterator[R]:
    """Yield results of `work` as they finish, from `jobs` processes. Raises CampaignError where a process is lost."""
    source = iter(tasks)
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(jobs, max(1, len(tasks))), mp_context=context) as pool:
        try:
            waiting: set[Future[R]] = {pool.submit(work, task) for task in islice(source, jobs * (1 + AHEAD))}
            while waiting:
                done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                waiting |= {pool.submit(work, task) for task in islice(source, len(done))}
                for one in done:
                    yield one.result()
        except BrokenProcessPool as exc:
            raise CampaignError("a worker process was ended from outside; run the same command again to go on") from exc
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def connected(scheduler: str) -> Any:
    """Connect to the cluster at an address such as tcp://host:8786. Raises CampaignError."""
    dask = _dask()
    try:
        client = dask.Client(scheduler, timeout=CONNECT_S, set_as_default=False)
    except (OSError, ValueError, TimeoutError) as exc:
        raise CampaignError(f"no Dask scheduler at {scheduler}: {exc}") from exc
    if not client.scheduler_info().get("workers"):
        client.close()
        raise CampaignError(f"the scheduler at {scheduler} has no workers; start some: dask worker {scheduler}")
    return client


def _dask() -> Any:
    """Import Dask's distributed scheduler, which has no types. Raises CampaignError where it is not installed."""
    try:
        return importlib.import_module("distributed")
    except ImportError as exc:
        raise CampaignError("--scheduler needs Dask: pip install 'bandpact[cluster]'") from exc


def on_cluster(scheduler: str, work: Callable[[T], R], tasks: Sequence[T]) -> Iterator[R]:
    """Yield results as `on_cores`, from a cluster whose workers have bandpact installed. Raises CampaignError."""
    client = connected(scheduler)
    try:
        source = iter(tasks)
        threads = sum(one["nthreads"] for one in client.scheduler_info()["workers"].values())

        def submit(task: T) -> Any:
            return client.submit(work, task, pure=False, retries=2)

        first = [submit(task) for task in islice(source, threads * (1 + AHEAD))]
        waiting = _dask().as_completed(first, loop=client.loop)
        for one in waiting:
            error = one.exception()
            if error is not None:
                raise CampaignError(f"a worker of {scheduler} failed: {error!r:.200}; it needs this bandpact as well")
            for task in islice(source, 1):
                waiting.add(submit(task))
            yield one.result()
    finally:
        client.close()


def made(work: Callable[[T], R], tasks: Sequence[T], *, jobs: int, scheduler: str | None) -> Iterator[R]:
    """Yield the results of `work` as they finish, from this machine or a cluster."""
    return on_cluster(scheduler, work, tasks) if scheduler else on_cores(jobs, work, tasks)
