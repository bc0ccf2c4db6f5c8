"""The report of a run under faults: what happened, and what was wrong."""

from dataclasses import dataclass, field


@dataclass
class FaultReport:
    """What happened, and what was wrong.

    Parameters
    ----------
    kill_points : int
        Kills at named steps, and kills of all workers at random times.
    reached : int
        Named steps at which a worker was killed or frozen.
    orphans : int
        Processes of jobs that went on although their worker was killed.
    corrections : int
        Answers of annotators: new, changed and deleted.
    lost, doubled : int
        Corrections that the label snapshot lacked after recovery, and those that it had and Label Studio had not.
    half_published : int
        Looks at the published version that found a part missing, and recoveries after which Label Studio did not show
        one prediction of it for each task that fits the labelling configuration.
    trained_again : int
        Finished members that were trained again although their folder stayed.
    rollbacks_undone : int
        Publications by hand that something other than a new version replaced, and versions that took the place of a
        newer one.
    server_errors : int
        Answers of the backends with a status of 500 or above, except 503.
    answers, unavailable : int
        Answers of the backends, and those with 503 although nothing was disturbed: Redis took over half a second on a
        loaded machine.
    """

    seed: int
    kill_points: int = 0
    reached: int = 0
    frozen: int = 0
    orphans: int = 0
    outages: dict[str, int] = field(default_factory=dict)
    recoveries: int = 0
    corrections: int = 0
    opened_tasks: int = 0
    versions: int = 0
    rollbacks: int = 0
    lost: int = 0
    doubled: int = 0
    half_published: int = 0
    trained_again: int = 0
    rollbacks_undone: int = 0
    server_errors: int = 0
    answers: int = 0
    unavailable: int = 0
    found: list[str] = field(default_factory=list)
    not_reached: list[str] = field(default_factory=list)
    tracebacks: dict[str, int] = field(default_factory=dict)
    slowest_recovery_seconds: float = 0.0
    seconds: float = 0.0
    load: float = 0.0

    @property
    def faults(self) -> int:
        """Number of broken promises."""
        return (
            self.lost + self.doubled + self.half_published + self.trained_again + self.rollbacks_undone
            + self.server_errors
        )  # fmt: skip
