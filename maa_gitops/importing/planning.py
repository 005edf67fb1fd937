"""Planning an import: which resources it makes, which are there already, what stays out and why. Nothing is written."""

from collections.abc import Iterable, Mapping, Sequence

from maa_gitops.errors import DocumentError
from maa_gitops.importing.checking import Checked, Composed, check, stands_for
from maa_gitops.importing.composing import resource_files, script_files
from maa_gitops.importing.ground import Ground, known_resources
from maa_gitops.importing.matching import match
from maa_gitops.importing.values import Found, LeftOut, Plan, Progress, Settled, Source
from maa_gitops.model import ObjectId
from maa_gitops.providers import DesiredObject

UNSEEN = (
    "no target tells whether a remediation runs or only detects: where it has to run, say runRemediationScript: true "
    "in its assignments"
)


def plan(ground: Ground, source: Source, only: Sequence[str], progress: Progress) -> Plan:
    """Plan an import of what a source has, of these profile types only if any are named."""
    wanted = [one for one in source.found if not only or one.state.profile_type in only]
    types = {profile_type.name for profile_type in ground.resources.rules.types}
    strangers = [_of_no_type(one) for one in wanted if one.state.profile_type not in types]
    ours = [one for one in wanted if one.state.profile_type in types]
    tenant = ground.clone.tenant.settings.tenant
    matched = match(ours, known_resources(ground.resources), tenant, source.target)
    compared = []
    for number, (one, governed) in enumerate(matched.there):
        progress(number, len(ours))
        compared.append(_compared(ground, source, one, governed))
    composed = [composed_new(ground, one, governed, source.target) for one, governed in matched.new]
    checked = check(ground, composed, source.as_there, progress)
    unlike = [one for one in compared if isinstance(one, LeftOut)]
    return Plan(
        written=settled_of(checked.sound),
        unchanged=tuple(one for one in compared if isinstance(one, Settled)),
        left_out=tuple(sorted((*source.left_out, *strangers, *matched.left_out, *unlike, *checked.left_out))),
        notes=(*source.notes, *notes_on(checked)),
        warnings=(*source.warnings, *ground.warnings),
        files=files_of(checked.sound),
    )


def _of_no_type(one: Found) -> LeftOut:
    return LeftOut(one.origin, one.display_name, f"maa.yaml has no profile type '{one.state.profile_type}'")


def _compared(ground: Ground, source: Source, one: Found, governed: ObjectId) -> Settled | LeftOut:
    """An object beside the resource that it is: the same, or how it is not."""
    settled = Settled(governed, ground.document_path(governed), one.remote_id)
    try:
        is_same = stands_for(ground.resources, governed, one.state, source.as_there)
    except DocumentError as error:
        return LeftOut(one.origin, one.display_name, f"its resource {governed} is broken: {error.message}")
    if is_same:
        return settled
    more = "; maa drift --open-request takes over what is there" if source.is_live else ""
    return LeftOut(one.origin, one.display_name, f"it differs from {settled.path}, which stays as it is{more}")


def composed_new(ground: Ground, one: Found, governed: ObjectId, target: str | None) -> Composed:
    """A new resource for an object that was found, which adopts it where its id on a target is known."""
    path = ground.document_path(governed)
    stem = path.rpartition("/")[2].removesuffix(".yaml")
    adopt = {target: one.remote_id} if target is not None and one.remote_id is not None else {}
    files = resource_files(one.state, path, script_files(one.state, stem), adopt)
    return Composed(Settled(governed, path, one.remote_id), one.state, files, one.origin, one.display_name)


def settled_of(composed: Iterable[Composed]) -> tuple[Settled, ...]:
    """The resources, sorted."""
    return tuple(sorted(one.settled for one in composed))


def files_of(composed: Iterable[Composed]) -> Mapping[str, bytes | None]:
    """All files, by path."""
    return {path: data for one in composed for path, data in one.files.items()}


def notes_on(checked: Checked) -> tuple[str, ...]:
    """What is to be said of resources that will be written."""
    notes = []
    if checked.inexact:
        names = ", ".join(str(one.settled.governed) for one in checked.inexact[:5])
        more = f" and {len(checked.inexact) - 5} more" if len(checked.inexact) > 5 else ""
        notes.append(f"applying would change what is there of {names}{more}: maa plan shows it once it is merged")
    if any(_is_unseen(one.state) for one in checked.sound):
        notes.append(UNSEEN)
    return tuple(notes)


def _is_unseen(state: DesiredObject) -> bool:
    is_remediation = state.data.get("type") == "deviceHealthScript"
    return is_remediation and any("runRemediationScript" not in found for found in state.assignments)
