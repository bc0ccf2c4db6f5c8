"""Finds the versions of a model folder that could not be published again, as a rollback does."""

from helioloop.errors import RegistryError
from helioloop.registry.completeness import missing_parts
from helioloop.registry.known_cards import known_round
from helioloop.registry.versions import Registry


def unusable_versions(registry: Registry) -> dict[str, str]:
    """Return the versions of which a file is missing, cut off or of another round, with a sentence on what is wrong."""
    return {
        version: f"{version} cannot be published again, because {lacking}"
        for version in registry.versions()
        if (lacking := find_damage(registry, version)) is not None
    }


def find_damage(registry: Registry, version: str) -> str | None:
    """Return which file of a version is missing, cut off or of another round, in a clause; None where none is.

    A version whose weights `helioloop prune` removed is not damaged. Of weights, header and length are read, and the
    card only where it is another one than before.
    """
    if registry.is_pruned(version):
        return None
    try:
        made = known_round(registry, version)
        lacking = missing_parts(registry.folder(version), made.member_files, fingerprint=made.fingerprint)
    except (RegistryError, OSError) as error:
        return str(error)
    return "; ".join(lacking) or None
