"""A project as one reconciliation sees it in Label Studio: read once, when the first step needs it."""

from dataclasses import dataclass
from functools import cached_property

from helioloop.registry.label_snapshot import Snapshot
from helioloop_worker.context import Context
from helioloop_worker.labelstudio.project import ProjectState


@dataclass(frozen=True)
class SeenProject:
    """A project in Label Studio, which the first step that needs it reads for the others too."""

    context: Context
    project: int

    @cached_property
    def is_complete(self) -> bool:
        """True where all tasks are read, not only what has changed."""
        return self.context.projects.may_read_completely(self.project)

    @property
    def state(self) -> ProjectState:
        """Tasks and annotations."""
        return self._reading[0]

    @property
    def snapshot_before(self) -> Snapshot | None:
        """The label snapshot that the model folder had before Label Studio was read."""
        return self._reading[1]

    @cached_property
    def _reading(self) -> tuple[ProjectState, Snapshot | None]:
        projects, model_dir = self.context.projects, self.context.settings.model_dir(self.project)
        before = Snapshot.read_if_changed(model_dir)
        state = projects.read_completely(self.project) if self.is_complete else projects.refresh(self.project)
        if before is None:  # it was lost, or put aside
            state.snapshot.write(model_dir)
        return state, before
