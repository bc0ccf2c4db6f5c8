"""Finds the versions of a model folder that could not be published again, as a rollback does."""

from helioloop.errors import RegistryError
from helioloop.registry.completeness import missing_parts
from helioloop.registry.known_cards import known_member_files
from helioloop.registry.versions import Registry


def unusable_versions(registry: Registry) -> dict[str, str]:
    """Return the versions of which a file is missing or was cut off, with what is wrong, in a sentence.

    Versions whose weights `helioloop prune` removed are left out. Of weights, header and length are read, and
    cards only where they are other ones than before.
    """
    found = {}
    for version in registry.versions():
        if registry.is_pruned(version):
            continue
        try:
            lacking = missing_parts(registry.folder(version), known_member_files(registry, version))
        except (RegistryError, OSError) as error:
            lacking = [str(error)]
        if lacking:
            found[version] = f"{version} cannot be published again, because {'; '.join(lacking)}"
    return found
