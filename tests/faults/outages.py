"""Outages besides kills: each lets workers and annotators work, does something to a service or a file, and ends it."""

import resource
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Final

from tests.faults import checks
from tests.faults.driver import Driver
from tests.faults.label_studio import TROUBLES, Trouble
from tests.faults.proxy import MODES, Mode, Proxy

Outage = Callable[[Driver], None]


def redis_killed(driver: Driver, *, is_restored: bool) -> None:
    """Redis is killed amid work, and comes back empty or from an older snapshot."""
    snapshot = driver.redis.snapshot() if is_restored else None
    with driver.working():
        driver.sleep(driver.random.uniform(0.5, 4.0))
        with driver.disturbed("redis restored" if is_restored else "redis lost"):
            driver.redis.kill()
            driver.sleep(driver.random.uniform(0.2, 2.0))
            driver.redis.start(snapshot)
            driver.sleep(driver.random.uniform(1.0, 3.0))


def redis_emptied(driver: Driver) -> None:
    """Somebody empties Redis amid work."""
    with driver.working():
        driver.sleep(driver.random.uniform(0.5, 4.0))
        with driver.disturbed("redis emptied"):
            driver.redis.connection.flushall()
            driver.sleep(driver.random.uniform(0.5, 2.0))


def redis_frozen(driver: Driver) -> None:
    """Redis answers nothing for some seconds."""
    with driver.working():
        driver.sleep(driver.random.uniform(0.5, 3.0))
        with driver.disturbed("redis frozen"):
            driver.redis.freeze()
            driver.pause(driver.random.uniform(0.5, 5.0))
            driver.redis.thaw()
            driver.sleep(2.0)


def network(driver: Driver, *, which: str, mode: Mode) -> None:
    """A network is slow, resets or cuts connections, or swallows everything."""
    proxy: Proxy = getattr(driver, which)
    with driver.working():
        driver.sleep(driver.random.uniform(0.2, 2.0))
        with driver.disturbed(f"{which} {mode}"):
            proxy.mode = mode
            driver.sleep(driver.random.uniform(2.0, 5.0))
            proxy.mode = "passing"
            driver.sleep(driver.random.uniform(0.5, 2.0))


def label_studio_troubled(driver: Driver, *, trouble: Trouble) -> None:
    """Label Studio answers errors, late, or a web page."""
    with driver.working():
        driver.sleep(driver.random.uniform(0.2, 1.0))
        with driver.disturbed(f"label studio {trouble}"):
            driver.served.trouble = trouble
            driver.sleep(driver.random.uniform(2.0, 6.0))
            driver.served.trouble = "none"
            driver.sleep(driver.random.uniform(0.5, 2.0))


def disk_full(driver: Driver) -> None:
    """The workers cannot write a byte for some seconds: a limit of zero bytes on the size of their files."""
    with driver.working():
        driver.sleep(driver.random.uniform(0.2, 2.0))
        with driver.disturbed("disk full"):
            for limit in (0, resource.RLIM_INFINITY):
                for process in driver.with_jobs():
                    with suppress(ProcessLookupError):
                        resource.prlimit(process, resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
                driver.sleep(driver.random.uniform(1.0, 4.0))


def backend_killed(driver: Driver) -> None:
    """A backend is killed and started again."""
    with driver.working():
        driver.sleep(driver.random.uniform(0.2, 2.0))
        with driver.disturbed("backend killed"):
            driver.random.choice(driver.backends).kill()
            driver.sleep(3.0)


def backend_stalls(driver: Driver) -> None:
    """A backend stops for some seconds while predictions are written, and answers then."""
    with driver.working():
        driver.sleep(driver.random.uniform(0.2, 1.0))
        with driver.disturbed("backend stalls"):
            backend = driver.random.choice(driver.backends)
            backend.freeze()
            driver.sleep(driver.random.uniform(2.0, 6.0))
            backend.thaw()
            driver.sleep(1.0)


def rollback(driver: Driver) -> None:
    """A human publishes an earlier version amid a round."""
    with driver.working():
        driver.sleep(driver.random.uniform(0.2, 4.0))
        with driver.disturbed("rollback"):
            driver.rollback()
            driver.sleep(driver.random.uniform(0.2, 3.0))


def configured(driver: Driver, *, old: str, new: str, stays: bool) -> None:
    """Somebody changes the labelling configuration amid a round, and changes it back amid work or after it."""
    before = driver.configuration()
    with driver.working():
        driver.sleep(driver.random.uniform(0.2, 4.0))
        with driver.disturbed(f"configuration without {old}"):
            driver.configure(before.replace(old, new))
            driver.sleep(driver.random.uniform(1.0, 5.0))
            if not stays:
                driver.configure(before)
            driver.sleep(driver.random.uniform(0.2, 2.0))
    if stays:
        driver.settle()
        driver.configure(before)


def damaged(driver: Driver, *, pattern: str) -> None:
    """Files of the model folder are cut off while nobody works, or amid work."""
    with driver.disturbed(f"damaged {pattern}"):
        if is_calm := driver.random.random() < 0.5:
            _cut_off(driver, pattern)
        with driver.working():
            driver.sleep(driver.random.uniform(0.5, 3.0))
            if not is_calm:
                _cut_off(driver, pattern)
            driver.sleep(driver.random.uniform(0.5, 2.0))
    driver.settle()  # before the next look at the version


def _cut_off(driver: Driver, pattern: str) -> None:
    published = checks.published(driver.model_dir)
    found = sorted(driver.model_dir.glob(pattern.replace("PUBLISHED", str(published))))
    if found:
        driver.damage(driver.random.choice(found))


def _network(which: str, mode: Mode) -> Outage:
    return partial(network, which=which, mode=mode)


OUTAGES: Final[dict[str, Outage]] = {
    "redis lost": partial(redis_killed, is_restored=False),
    "redis restored": partial(redis_killed, is_restored=True),
    "redis emptied": redis_emptied,
    "redis frozen": redis_frozen,
    **{
        f"{which} {mode}": _network(which, mode)
        for which in ("worker_redis", "backend_redis", "label_studio")
        for mode in MODES
    },
    **{f"label studio {trouble}": partial(label_studio_troubled, trouble=trouble) for trouble in TROUBLES},
    "disk full": disk_full,
    "backend killed": backend_killed,
    "backend stalls": backend_stalls,
    "rollback": rollback,
    "timeline renamed": partial(configured, old='name="onset"', new='name="when"', stays=True),
    "timeline renamed for a while": partial(configured, old='name="onset"', new='name="when"', stays=False),
    "timeline removed": partial(configured, old="TimelineLabels", new="BrushLabels", stays=True),
    "class renamed for a while": partial(configured, old='"emergence"', new='"bipole"', stays=False),
    **{
        f"damaged {pattern}": partial(damaged, pattern=pattern)
        for pattern in (
            "published.json", "labels.json", "checked.json", "written.json", "versions/PUBLISHED/*.safetensors",
            "versions/PUBLISHED/scores/*.jsonl", "staging/*/plan.json", "staging/*/*.safetensors",
            "staging/*/*located/*.jsonl",
        )
    },
}  # fmt: skip
"""Every kind of outage by its name."""
