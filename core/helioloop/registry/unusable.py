"""Finds the versions of a model folder that could not be published again, as a rollback does."""

from helioloop.errors import RegistryError
from helioloop.registry.completeness import missing_parts
from helioloop.registry.known_cards import known_member_files
from helioloop.registry.versions import Registry


def unusable_versions(registry: Registry) -> dict[str, str]:
    """Return the versions of which a file is missing or was cut off, with what is wrong, in a sentence."""
    return {
        version: f"{version} cannot be published again, because {lacking}"
        for version in registry.versions()
        if (lacking := find_damage(registry, version)) is not None
    }


def find_damage(registry: Registry, version: str) -> str | None:
    """Return which file of a version is missing or was cut off, in a clause; None where none is.

    A version whose weights `helioloop prune` removed is not damaged. Of weights, header and length are read, and the
    card only where it is another one than before.
    """
    if registry.is_pruned(version):
        return None
    try:
        lacking = missing_parts(registry.folder(version), known_member_files(registry, version))
    except (RegistryError, OSError) as error:
        return str(error)
    return "; ".join(lacking) or None
