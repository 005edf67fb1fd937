"""The accounts that ``init`` writes, and what it knows of whoever runs it."""

import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping

from maa_gitops.errors import NotAllowedError, RepositoryError
from maa_gitops.git import Identity, Repository
from maa_gitops.model import Role, Tenant
from maa_gitops.signing import canonical_key, key_problem
from maa_gitops.starter.files import document, scalar
from maa_gitops.starter.on_github import identity_line
from maa_gitops.starter.values import Caller, Options, Part
from maa_gitops.tenant.paths import NAME

_ADDRESS = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s.]+")


def find_caller(repository: Repository, options: Options, own_key: Callable[[], str]) -> Caller:
    """Who starts the tenant. Where accounts are given the key only tells which is the caller's: it may be missing."""
    identity = repository.identity()
    try:
        return Caller(identity, own_key().strip())
    except RepositoryError:
        if not options.accounts:
            raise
        return Caller(identity, None)


def named_accounts(options: Options, caller: Caller | None) -> Mapping[str, str]:
    """The key lines of the accounts to have, by name: those asked for, else in a new tenant the caller's.

    Raises:
        NotAllowedError: a name or a key that no account can have, or a name given twice.
    """
    named: dict[str, str] = {}
    if caller is not None and caller.key is not None and not options.accounts:
        named[_name_of(caller.identity)] = caller.key
    for name, text in options.accounts:
        if not NAME.fullmatch(name):
            what = f"'{name}' cannot name an account: at most 64 lower-case letters, digits, _ and -"
            raise NotAllowedError(what, code="invalidName")
        if name in named:
            raise NotAllowedError(f"account {name} is given twice", code="invalidName")
        named[name] = text.strip()
    for name, line in named.items():
        trouble = key_problem(line)
        if trouble is not None:
            hint = "give the file of a public key, such as ~/.ssh/id_ed25519.pub"
            raise NotAllowedError(f"the key of {name} cannot be used: {trouble}", hint=hint, code="unusableKey")
    return named


def _name_of(identity: Identity) -> str:
    """An account's name for somebody: from the name, else from the mail address."""
    for text in (identity.name, identity.email.partition("@")[0]):
        ascii_only = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
        slug = re.sub(r"[^a-z0-9]+", "-", ascii_only).strip("-")[:64].rstrip("-")
        if slug:
            return slug
    text = f"no account name can be made of '{identity.name}' <{identity.email}>"
    raise NotAllowedError(text, hint="maa init --account NAME=PUBLIC_KEY_FILE", code="invalidName")


def account_files(named: Mapping[str, str], options: Options, tenant: Tenant, caller: Caller | None) -> Part:
    """The files of new accounts, and what to change by hand in those that exist."""
    roles = _roles(named, options, tenant, is_new=caller is not None)
    files, notes = {}, []
    for name, line in named.items():
        path = f"accounts/{name}.yaml"
        if name not in tenant.accounts:
            text = _account_text(name, line, roles.get(name, ()), caller)
            if options.github is not None and name in options.github.logins:
                text += identity_line(options.github.logins[name]) + "\n"
            files[path] = document(path, "account", text)
        elif canonical_key(line) not in tenant.accounts[name].signing_keys:
            notes.append(f"{path} is left as it is; add to its signingKeys: {line}")
    for name in sorted(roles.keys() & tenant.accounts.keys()):
        lacking = [role for role in roles[name] if role not in tenant.accounts[name].roles]
        if lacking:
            notes.append(f"accounts/{name}.yaml is left as it is; add to its roles: {', '.join(lacking)}")
    return Part(files, tuple(notes))


def _roles(named: Iterable[str], options: Options, tenant: Tenant, *, is_new: bool) -> Mapping[str, tuple[Role, ...]]:
    """The roles asked for, by account. In a new tenant the first account is the administrator if nobody else is."""
    known = (*named, *tenant.accounts)
    for option, names in (("--admin", options.admins), ("--deployer", options.deployers)):
        for name in names:
            if name not in known:
                text = f"{option} {name}: there is no such account; there are: {', '.join(sorted(set(known)))}"
                raise NotAllowedError(text, hint=f"add --account {name}=PUBLIC_KEY_FILE", code="unknownAccount")
    admins = options.admins or (known[:1] if is_new else ())
    deployers = options.deployers or admins
    wanted = ((Role.INTUNE_SERVICE_ADMINISTRATOR, admins), (Role.DEPLOYER, deployers))
    return {name: tuple(role for role, names in wanted if name in names) for name in (*admins, *deployers)}


def _account_text(name: str, line: str, roles: Iterable[Role], caller: Caller | None) -> str:
    """An account's document; the caller's bears git's name and address."""
    display_name = " ".join(map(str.capitalize, re.split("[-_]+", name)))
    address = " ".join(line.split(" ")[2:])
    if caller is not None and caller.key is not None and canonical_key(caller.key) == canonical_key(line):
        display_name, address = caller.identity.name, caller.identity.email
    lines = [f"displayName: {scalar(display_name)}"]
    if _is_address(address):
        lines.append(f"userPrincipalName: {scalar(address)}")
    if roles:
        lines.append(f"roles: [{', '.join(roles)}]")
    return "\n".join([*lines, "signingKeys:", f"  - {scalar(line)}", ""])


def _is_address(text: str) -> bool:
    """Whether a text is a mail address, and not the ``user@machine`` that ssh-keygen puts into a key by itself."""
    return _ADDRESS.fullmatch(text) is not None and not text.endswith(".local")
