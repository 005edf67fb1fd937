"""Planning ``init``: what is there, what is missing, what is in the way."""

from collections.abc import Callable, Iterable, Iterator, Mapping

from maa_gitops.change import differences
from maa_gitops.errors import NotAllowedError, RepositoryError
from maa_gitops.git import Repository
from maa_gitops.history import first_parents
from maa_gitops.model import BUILT_IN_TYPES, Problem, Tenant
from maa_gitops.starter.files import fixed_files, group_file, overlaid, policy_files
from maa_gitops.starter.on_github import attested_policies, identities, service_accounts, workflow_files
from maa_gitops.starter.people import account_files, find_caller, named_accounts
from maa_gitops.starter.values import Ground, OnGitHub, Options, Part, Plan
from maa_gitops.tenant import load, place
from maa_gitops.tenant.paths import RECORDS, RESOURCES, SETTINGS, entry_problem
from maa_gitops.tenant.resources import walk
from maa_gitops.workflow.clone import CHANGE_PREFIX


def plan(repository: Repository, options: Options, own_key: Callable[[], str]) -> Plan:
    """Plan what makes the repository a tenant repository, or completes it; nothing is written to the work tree.

    ``own_key`` gives the caller's public key, with or without a comment. It is asked for the default first account,
    and to know which of the accounts is the caller's.

    Raises:
        NotAllowedError: an option cannot be followed, or this is not the branch for it.
        RepositoryError: there is no work tree, no identity or no key to begin with.
    """
    ground = _ground(repository)
    fixed = fixed_files(repository, ground, options)
    if options.github is not None:
        fixed = _together(fixed, workflow_files(repository, ground.tree, options.github))
    tree = overlaid(repository, ground.tree, fixed.files)
    loaded = load(repository, tree)
    problems = _told_once((*_collisions(repository, ground, tree), *loaded.errors))
    if problems or loaded.tenant is None:
        return Plan(ground.folder, ground.branch, ground.head, tree, fixed.files, problems)
    _refuse_other_tenant(options, loaded.tenant)
    caller = find_caller(repository, options, own_key) if ground.is_new else None
    named = named_accounts(options, caller)
    accounts = account_files(named, options, loaded.tenant, caller)
    group = group_file(repository, tree, loaded.tenant, tuple(named))
    people = _together(fixed, accounts, group)
    if options.github is not None:
        _refuse_unknown_people(loaded.tenant, options.github, named)
        known = identities(repository, tree, loaded.tenant, options.github)
        people = _together(people, service_accounts(loaded.tenant, options.github), known)
    found = _together(people, policy_files(repository, overlaid(repository, ground.tree, people.files)))
    if options.github is not None:
        found = _together(found, attested_policies(repository, overlaid(repository, ground.tree, found.files)))
    files, notes = found.files, found.notes
    tree = overlaid(repository, ground.tree, files)
    return Plan(
        folder=ground.folder,
        branch=ground.branch,
        head=ground.head,
        tree=tree,
        files=files,
        problems=_problems(repository, ground, tree),
        edits=frozenset(path for path in files if repository.entry(ground.tree, path) is not None),
        author=caller.identity if caller is not None else None,
        notes=(*notes, _next_step(repository, ground, files)),
    )


def _together(*parts: Part) -> Part:
    """Several parts as one; of a file that two of them write, the later counts."""
    files = {path: content for part in parts for path, content in part.files.items()}
    return Part(files, tuple(note for part in parts for note in part.notes))


def _refuse_unknown_people(tenant: Tenant, wanted: OnGitHub, named: Mapping[str, str]) -> None:
    unknown = next((name for name in wanted.logins if name not in tenant.accounts and name not in named), None)
    if unknown is not None:
        text = f"--login {unknown}: there is no such account"
        raise NotAllowedError(text, hint=f"add --account {unknown}=PUBLIC_KEY_FILE", code="unknownAccount")


def _ground(repository: Repository) -> Ground:
    folder = repository.work_tree
    if folder is None:
        raise RepositoryError(
            f"{repository.git_dir} is a repository without a work tree, and init writes files",
            hint="git clone it, and run init in the clone",
            code="noWorkTree",
        )
    branch, head = repository.current_branch(), repository.resolve("HEAD")
    tree = repository.commit(head).tree if head is not None else repository.write_tree(())
    if not _has_settings(repository, tree):
        return Ground(folder, _branch_to_protect(repository, branch, head), head, tree, is_new=True)
    if branch is None or not branch.startswith(CHANGE_PREFIX):
        where = f"'{branch}'" if branch is not None else "no branch"
        raise NotAllowedError(
            f"this is a tenant repository already: what init adds needs approval, and you are on {where}",
            hint=f"git switch -c {CHANGE_PREFIX}add-what-is-missing, then run init again",
            code="notOnChangeBranch",
        )
    return Ground(folder, branch, head, repository.snapshot(), is_new=False)


def _branch_to_protect(repository: Repository, branch: str | None, head: str | None) -> str:
    """The current branch, if a tenant may begin on it.

    Raises:
        NotAllowedError: it may not.
    """
    if branch is None or branch.startswith(CHANGE_PREFIX):
        where = f"'{branch}' is a change branch" if branch is not None else "no branch is checked out"
        text = f"init protects the branch that is checked out, and {where}"
        raise NotAllowedError(text, hint="git switch -c main", code="noProtectedBranch")
    configured = repository.config("maa.protectedBranch")
    if configured not in (None, branch):
        text = f"this clone protects '{configured}' already, and you are on '{branch}'"
        raise NotAllowedError(text, hint=f"git switch {configured}", code="noProtectedBranch")
    # A second trusted start would hide from this clone whatever happened since the first.
    chain = first_parents(repository, head) if head is not None else ()
    earlier = next((oid for oid in chain if _has_settings(repository, repository.commit(oid).tree)), None)
    if earlier is not None:
        text = f"'{branch}' was a tenant repository already, in commit {earlier}: its {SETTINGS} must be put back"
        raise NotAllowedError(text, hint=f"git restore --source={earlier} {SETTINGS}", code="lostTenant")
    return branch


def _has_settings(repository: Repository, tree: str) -> bool:
    entry = repository.entry(tree, SETTINGS)
    return entry is not None and not entry.is_folder


def _collisions(repository: Repository, ground: Ground, tree: str) -> Iterator[Problem]:
    """What of the repository stands where the tool has its own files, each path once."""
    strangers = dict(_strangers(repository, ground.tree)) if ground.is_new else {}
    for path, (old, new) in differences(repository, ground.tree, tree).items():
        if old is not None and (new is None or ground.is_new or old.mode != new.mode):
            strangers.setdefault(path, "stands where init writes a file of its own")
    for path, text in strangers.items():
        yield Problem(path, 0, 0, "refused", text, path)


def _strangers(repository: Repository, tree: str) -> Iterator[tuple[str, str]]:
    """Files in folders that the tool reserves which it would refuse there, with the reason."""
    for path, entry in walk(repository, tree, RESOURCES):
        where = place(path, BUILT_IN_TYPES)
        trouble = None if entry.is_folder else where.why or entry_problem(path, entry.mode, where.kind)
        if trouble:
            yield path, trouble
    for path, entry in walk(repository, tree, RECORDS):
        if not entry.is_folder:
            yield path, f"{RECORDS}/ is for records of requests, and a new tenant has none"


def _told_once(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """The problems, sorted: of those about a file as a whole the first is enough."""
    found: dict[object, Problem] = {}
    for problem in problems:
        found.setdefault(problem if problem.line else problem.path, problem)
    return tuple(sorted(found.values()))


def _problems(repository: Repository, ground: Ground, tree: str) -> tuple[Problem, ...]:
    """What is wrong with the tree that would result, and what uncommitted work would be lost."""
    text = "not committed, and stands where init writes a file of its own"
    in_the_way = repository.would_overwrite(ground.folder, ground.tree, tree) if ground.is_new else ()
    lost = [Problem(path, 0, 0, "refused", text, path) for path in in_the_way]
    return _told_once((*lost, *load(repository, tree).errors))


def _refuse_other_tenant(options: Options, tenant: Tenant) -> None:
    name = tenant.settings.tenant
    if options.tenant not in (None, name):
        text = f"this is the repository of tenant '{name}', which cannot become '{options.tenant}'"
        raise NotAllowedError(text, hint="maa init, without --tenant", code="otherTenant")


def _next_step(repository: Repository, ground: Ground, files: Mapping[str, bytes]) -> str:
    if not ground.is_new:
        return "send it for approval: maa submit -a" if files else "there is nothing to add"
    remote = "" if repository.remote() is not None else "git remote add origin URL, "
    return f"share it: {remote}git push -u origin {ground.branch}"
