"""Checks of Redis: reachable, password, whose model folder it serves, persistence, memory, version and clock."""

from collections.abc import Callable
from typing import Final

from helioloop.messaging import redis_client
from helioloop_worker.doctor.clocks import Clock
from helioloop_worker.doctor.facts import Facts, RedisFacts
from helioloop_worker.doctor.finding import Cause, Check, Finding, not_tried, ok, out_of_time
from helioloop_worker.doctor.folders import why_unknown

REDIS: Final = "redis"
PASSWORD: Final = "redis-password"  # noqa: S105 - the name of a check
FOLDER: Final = "redis-model-folder"
PERSISTENCE: Final = "redis-persistence"
MEMORY: Final = "redis-memory"
VERSION: Final = "redis-version"
CLOCK: Final = "redis-clock"

OLDEST: Final = (6, 0, 6)
"""The first Redis with LPOS, by which a job is found in a queue."""
NEARLY_FULL: Final = 0.9
"""Fraction of maxmemory."""

_UNREACHABLE = Cause(
    check=REDIS,
    name="unreachable",
    remedy="Start Redis, or set REDIS_URL to the one in use: redis://:PASSWORD@HOST:6379/0.",
)
_NO_ADDRESS = Cause(check=REDIS, name="no-address", remedy="Write REDIS_URL as redis://:PASSWORD@HOST:PORT/DB.")
_CREDENTIALS = Cause(
    check=REDIS,
    name="credentials",
    remedy="Write the password of Redis (requirepass in redis.conf) into REDIS_URL: redis://:PASSWORD@HOST:PORT/DB.",
)
_REFUSES = Cause(
    check=REDIS,
    name="refuses",
    remedy="Read the log of Redis, let the user in REDIS_URL run all commands on all keys and channels (`ACL SETUSER "
    "NAME ~* &* +@all`), and check that Redis listens on that port, with TLS only for rediss://.",
)
_NO_WRITES = Cause(
    check=REDIS,
    name="no-writes",
    remedy="Set REDIS_URL to a Redis that takes writes: not to a replica, nor to one that waits for its replicas "
    "(min-replicas-to-write).",
)
_NO_CHANNELS = Cause(
    check=REDIS,
    name="no-channels",
    doubtful=True,
    remedy="Let the user in REDIS_URL use all channels (`ACL SETUSER NAME &*`): else workers hear no commands of rq, "
    "such as to stop a job.",
)
_OPEN = Cause(
    check=PASSWORD,
    name="none",
    remedy="Set requirepass in redis.conf and REDIS_URL to redis://:PASSWORD@HOST:PORT/0: whoever can write to Redis "
    "can delete and queue jobs.",
)
_OPEN_HERE = Cause(
    check=PASSWORD,
    name="none-on-this-machine",
    doubtful=True,
    remedy="Set requirepass in redis.conf and REDIS_URL to redis://:PASSWORD@HOST:PORT/0, unless you trust every "
    "user of "
    "this machine.",
)
_NOT_REQUIRED = Cause(
    check=PASSWORD,
    name="not-required",
    remedy="Set requirepass in redis.conf, or `ACL SETUSER default off`: Redis answers without the password in "
    "REDIS_URL.",
)
_OTHER_FOLDER = Cause(
    check=FOLDER,
    name="another-folder",
    remedy="Give each deployment a Redis database of its own (such as …/1 in REDIS_URL), or set HELIOLOOP_MODEL_ROOT "
    "to the same folder; where there is only one, mount the disk; where the other is given up, stop its workers and "
    "backend and empty that database (FLUSHDB).",
)
_REPLACED_FOLDER = Cause(
    check=FOLDER,
    name="replaced-folder",
    remedy="Mount the disk of HELIOLOOP_MODEL_ROOT, or restore the file model-root-id.txt in it; where the folder "
    "that is there now is the right one, take another database of Redis (such as …/1 in REDIS_URL), or stop workers "
    "and backend and empty that one (FLUSHDB).",
)
_FAILING = Cause(
    check=PERSISTENCE,
    name="failing",
    remedy="Free disk space or correct the permissions of Redis' folder (CONFIG GET dir); until it can save, it "
    "refuses to write.",
)
_OFF = Cause(
    check=PERSISTENCE,
    name="off",
    doubtful=True,
    remedy="Set `appendonly yes` in redis.conf: after a restart of Redis, waiting jobs are lost until reconciliation "
    "finds what is missing.",
)
_EVICTS = Cause(
    check=MEMORY,
    name="evicts",
    remedy="Set `maxmemory-policy noeviction` in redis.conf (CONFIG SET maxmemory-policy noeviction), else jobs "
    "disappear.",
)
_WOULD_EVICT = Cause(
    check=MEMORY,
    name="would-evict",
    doubtful=True,
    remedy="Set `maxmemory-policy noeviction` in redis.conf, before somebody sets maxmemory and jobs disappear.",
)
_FULL = Cause(
    check=MEMORY,
    name="full",
    remedy="Raise maxmemory in redis.conf (CONFIG SET maxmemory), or remove what others keep in this Redis: it "
    "refuses jobs and events until then.",
)
_NEARLY_FULL = Cause(
    check=MEMORY,
    name="nearly-full",
    doubtful=True,
    remedy="Raise maxmemory in redis.conf: once it is reached, Redis refuses jobs and events.",
)
_OLD = Cause(check=VERSION, name="old", remedy="Install Redis 6.0.6 or later (or Valkey).")
_CLOCK = Clock(CLOCK, whose="Redis'")

CAUSES: Final = (
    _UNREACHABLE, _NO_ADDRESS, _CREDENTIALS, _REFUSES, _NO_WRITES, _NO_CHANNELS, _OPEN, _OPEN_HERE, _NOT_REQUIRED,
    _OTHER_FOLDER, _REPLACED_FOLDER, _FAILING, _OFF, _EVICTS, _WOULD_EVICT, _FULL,
    _NEARLY_FULL, _OLD, *_CLOCK.causes,
)  # fmt: skip


def _check_redis(facts: Facts) -> Finding:
    if facts.redis is None:
        return out_of_time(REDIS)
    if facts.redis.fault is not None:
        by_kind = {"address": _NO_ADDRESS, "credentials": _CREDENTIALS, "refused": _REFUSES, "no-writes": _NO_WRITES}
        return by_kind.get(facts.redis.fault_kind, _UNREACHABLE).found(facts, facts.redis.fault)
    if not facts.redis.has_channels:
        return _NO_CHANNELS.found(facts, "the user in REDIS_URL may not use the channels of Redis")
    return ok(REDIS, "Redis answers, and takes writes" if facts.redis.no_writes is None else "Redis answers")


def _read(facts: Facts) -> RedisFacts:
    """Return the facts; checks that need `REDIS` run only where there are some."""
    return facts.redis or RedisFacts(info={})


def _check_password(facts: Facts) -> Finding:
    redis = _read(facts)
    if not redis.has_password:
        if redis.is_local:
            return _OPEN_HERE.found(facts, "REDIS_URL has no password, and Redis is reached on this machine")
        return _OPEN.found(facts, "REDIS_URL has no password, and Redis is reached over the network")
    if redis.open_without:
        return _NOT_REQUIRED.found(facts, "Redis also answers without the password")
    return ok(PASSWORD, "Redis requires the password")


def _check_folder(facts: Facts) -> Finding:
    redis, folder = _read(facts), facts.folder
    if folder is None:
        return out_of_time(FOLDER)
    served = redis.served
    if served is None or (redis.used_by is None and not redis.is_same_place):
        return ok(FOLDER, "no deployment uses it now")
    if folder.identity is None and not folder.lacks_identity:
        return not_tried(FOLDER, f"{why_unknown(folder)}, to compare it with {served.shown}, which Redis serves")
    if served.identity == folder.identity:
        return ok(
            FOLDER, f"Redis serves {folder.root} of this machine" if redis.used_by else "no deployment uses it now"
        )
    if redis.used_by is None:
        return _REPLACED_FOLDER.found(
            facts, f"Redis was in use for the folder that was at {folder.root} before, and another is there"
        )
    return _OTHER_FOLDER.found(
        facts, f"Redis serves {served.shown} ({redis.used_by}), which is not {folder.root} of this machine"
    )


def _check_persistence(facts: Facts) -> Finding:
    redis = _read(facts)
    aof = int(redis.info.get("aof_enabled") or 0) == 1
    failing = [
        name
        for name in ("rdb_last_bgsave_status", *(("aof_last_write_status",) if aof else ()))
        if redis.info.get(name, "ok") != "ok"
    ]
    if failing:
        return _FAILING.found(facts, f"Redis reports {', '.join(failing)}: {redis.info.get(failing[0])}")
    if aof:
        return ok(PERSISTENCE, "every change is appended to a file")
    if redis.config is None:
        return ok(PERSISTENCE, "no append-only file; snapshots are not known, because CONFIG is not allowed")
    if not redis.config.get("save"):
        return _OFF.found(facts, "neither snapshots nor an append-only file")
    return ok(PERSISTENCE, f"snapshots ({redis.config['save']})")


def _check_memory(facts: Facts) -> Finding:
    info = _read(facts).info
    policy, limit, used = (
        str(info.get("maxmemory_policy") or ""),
        int(info.get("maxmemory") or 0),
        int(info.get("used_memory") or 0),
    )
    if policy and policy != "noeviction":
        if limit:
            return _EVICTS.found(facts, f"maxmemory-policy is {policy}, with maxmemory {_mib(limit)}")
        return _WOULD_EVICT.found(facts, f"maxmemory-policy is {policy}, without maxmemory")
    if limit and used > NEARLY_FULL * limit:
        return _NEARLY_FULL.found(facts, f"{_mib(used)} of {_mib(limit)} are used")
    return ok(MEMORY, f"{_mib(used)} used, nothing is evicted")


def _mib(n_bytes: int) -> str:
    return f"{n_bytes / 2**20:.0f} MiB"


def _check_version(facts: Facts) -> Finding:
    found = str(_read(facts).info.get("redis_version") or "")
    try:
        number = tuple(int(part) for part in found.split(".")[:3])
    except ValueError:
        number = OLDEST
    if number < OLDEST:
        return _OLD.found(facts, f"Redis {found}")
    return ok(VERSION, f"Redis {found}")


def _check_clock(facts: Facts) -> Finding:
    skew = _read(facts).skew_seconds
    return _CLOCK.compare(facts, skew)


def _with_info(name: str, run: Callable[[Facts], Finding]) -> Callable[[Facts], Finding]:
    """Return a check that needs the fields of INFO."""

    def check(facts: Facts) -> Finding:
        return run(facts) if _read(facts).info else not_tried(name, "the user in REDIS_URL may not run INFO")

    return check


def _if_it_writes(why: str, cause: Cause, run: Callable[[Facts], Finding]) -> Callable[[Facts], Finding]:
    """Return a check that finds `cause` where Redis takes no writes because of `why`, also without INFO."""

    def check(facts: Facts) -> Finding:
        if _read(facts).no_writes == why:
            return cause.found(facts, f"Redis {why.partition(';')[0]}")
        return run(facts)

    return check


CHECKS: Final = (
    Check(name=REDIS, run=_check_redis),
    Check(name=PASSWORD, run=_check_password, needs=(REDIS,)),
    Check(name=FOLDER, run=_check_folder, needs=(REDIS,)),
    Check(
        name=PERSISTENCE,
        run=_if_it_writes(redis_client.UNSAVED, _FAILING, _with_info(PERSISTENCE, _check_persistence)),
        needs=(REDIS,),
    ),
    Check(name=MEMORY, run=_if_it_writes(redis_client.FULL, _FULL, _with_info(MEMORY, _check_memory)), needs=(REDIS,)),
    Check(name=VERSION, run=_with_info(VERSION, _check_version), needs=(REDIS,)),
    Check(name=CLOCK, run=_check_clock, needs=(REDIS,)),
)
