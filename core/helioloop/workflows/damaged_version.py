"""A version that is damaged or lacks a part: what is wrong with it, and what of it another training can use."""

from helioloop.errors import RegistryError
from helioloop.files import atomic
from helioloop.model.device import CPU
from helioloop.model.ensemble import Ensemble
from helioloop.model.member_weights import load_member
from helioloop.model.plan import Plan
from helioloop.registry.completeness import missing_parts
from helioloop.registry.score_store import check_score_file
from helioloop.registry.staging import Staging
from helioloop.registry.trained_fields import TRAINED_FIELDS_FILE, read_trained_fields
from helioloop.registry.versions import Registry
from helioloop.words import count


def version_damage(registry: Registry, version: str) -> str | None:
    """Return why a version cannot do all that it could when it was made, in a clause; None where it can.

    Unlike `missing_parts`, this reads all of it, so that weights that are not finite and scores that were lost are
    found, too. A version whose weights `helioloop prune` removed is not damaged.

    Raises
    ------
    RegistryError
        If its card is damaged.
    """
    card, folder = registry.card(version), registry.folder(version)
    if registry.is_pruned(version):
        return None
    if lacking := missing_parts(folder, card.member_files, fingerprint=card.fingerprint):
        return "; ".join(lacking)
    if not card.members:
        return None
    try:
        plan = Ensemble.open(folder, device=CPU).plan
        for path in sorted((folder / "scores").glob("*.jsonl")):
            check_score_file(path)
        scores = registry.scores(version, curves=False)
        fields = read_trained_fields(folder)
    except RegistryError as error:
        return str(error)
    lost = int(card.metrics.get("cubes", 0)) - sum(cube.key in scores for cube in plan.cubes)
    if lost > 0:
        return f"{count(lost, 'score')} of the cubes that it was made for {'is' if lost == 1 else 'are'} missing"
    return f"{TRAINED_FIELDS_FILE} is missing" if fields is None else None


def copy_sound_members(registry: Registry, version: str, plan: Plan) -> None:
    """Copy the weights of a version that are sound into the staging folder of a plan with the same fingerprint.

    The round then trains only the members whose weights are damaged.
    """
    folder, target = registry.folder(version), Staging(registry.root).create(plan.fingerprint)
    for member in plan.members:
        try:
            load_member(plan, member, folder)
        except RegistryError:
            continue
        if not (target / member.file).exists():
            atomic.write_bytes(target / member.file, (folder / member.file).read_bytes())
