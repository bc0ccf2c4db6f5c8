"""Fixtures of the worker's tests: cubes, their tasks, and settings of folders of the test."""

from tests.worker.conftest import made, settings, task_data

__all__ = ["made", "settings", "task_data"]
