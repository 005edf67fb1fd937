"""One bare repository served over ssh and http on loopback, under the rules that GitHub's rulesets would enforce.

The identity of whoever pushes is what GitHub would know: the name of a deploy key, or the name of a token. It knows
nothing of requests and approvals; those are checked by the tool.
"""

import os
import pwd
import secrets
import shutil
import signal
import socket
import stat
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

NAME = "contoso/tenant"
"""What the one repository is called in every URL."""

DEPLOY_KEY = "deploy-key"
"""The identity that may bypass the rules, as a ruleset's bypass actor."""

PERSON = "person"
"""The identity of a push by local path, where the rules are to hold for those too."""

_CONFIG = {
    "receive.fsckObjects": "true",
    "receive.advertisePushOptions": "false",
    "receive.autogc": "false",  # nothing may run on after the test
    "gc.auto": "0",
    "maintenance.auto": "false",
    "http.receivepack": "true",
    "uploadpack.allowAnySHA1InWant": "true",  # a checkout fetches the event's commit by its name
}

_RULES = """#!/bin/sh
# What the rulesets of the tenant's repository allow; arguments: reference, old object, new object.
who=${MAA_TEST_PUSHER:-@LOCAL@}
test -n "$who" || exit 0
zero=0000000000000000000000000000000000000000
refuse() {
    echo "error: GH013: Repository rule violations found for $1." >&2
    echo "- $2" >&2
    exit 1
}
forward() {
    test "$2" = $zero || git merge-base --is-ancestor "$2" "$3" || refuse "$1" 'Cannot force-push to this branch'
}
case $1 in
refs/heads/main)
    test "$who" = deploy-key || refuse "$1" 'Cannot update this protected ref.'
    test "$3" != $zero || refuse "$1" 'Cannot delete this branch'
    forward "$@"
    ;;
refs/heads/maa/applied/*)
    test "$who" = deploy-key || refuse "$1" 'Cannot update this protected ref.'
    ;;
refs/heads/change/*)
    if test "$3" = $zero; then
        test "$who" = deploy-key || refuse "$1" 'Cannot delete this branch'
    else
        forward "$@"
    fi
    ;;
esac
"""

_SSH_COMMAND = """#!/bin/sh
# What a deploy key may run; arguments: its name, whether it may write.
export MAA_TEST_PUSHER="$1"
case $SSH_ORIGINAL_COMMAND in
"git-upload-pack '/@NAME@.git'" | "git-upload-pack '/@NAME@'")
    exec git-upload-pack '@REPOSITORY@'
    ;;
"git-receive-pack '/@NAME@.git'" | "git-receive-pack '/@NAME@'")
    test "$2" = write && exec git-receive-pack '@REPOSITORY@'
    echo 'ERROR: The key you are authenticating with has been marked as read only.' >&2
    exit 1
    ;;
esac
echo 'ERROR: Repository not found.' >&2
exit 1
"""

_HTTP_COMMAND = """#!/bin/sh
# Git over http for whoever holds a token, under any user's name, as GitHub has it.
answer() { # status, text
    printf 'Status: %s\\r\\nContent-Type: text/plain\\r\\n' "$1"
    printf 'WWW-Authenticate: Basic realm="GitHub"\\r\\n\\r\\n%s\\n' "$2"
    exit 0
}
given=$(printf '%s' "${HTTP_AUTHORIZATION#[Bb]asic }" | base64 -d 2>/dev/null)
found=$(awk -v "token=${given#*:}" '$1 == token { print $2, $3 }' '@FOLDER@/tokens')
case $PATH_INFO?$QUERY_STRING in
/git-receive-pack* | */info/refs*service=git-receive-pack*) wanted=write ;;
*) wanted=read ;;
esac
case $found in
'') answer '401 Unauthorized' 'Bad credentials' ;;
*' read') test $wanted = read || answer '403 Forbidden' 'Write access to repository not granted.' ;;
esac
export REMOTE_USER="${found% *}" MAA_TEST_PUSHER="${found% *}"
export GIT_PROJECT_ROOT='@REPOSITORY@' GIT_HTTP_EXPORT_ALL=1 GIT_PROTOCOL="$HTTP_GIT_PROTOCOL"
exec git http-backend
"""

_SSHD = """
ListenAddress 127.0.0.1
Port {port}
HostKey {folder}/host_key
AuthorizedKeysFile {folder}/authorized_keys
PidFile none
UsePAM no
UseDNS no
KexAlgorithms curve25519-sha256
StrictModes no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
AllowUsers {user}
AcceptEnv GIT_PROTOCOL
# The first bash of a connection reads the account's .bashrc; the second does not.
SetEnv SHLVL=2 HOME={folder} GIT_CONFIG_NOSYSTEM=1 GIT_CONFIG_GLOBAL=/dev/null
MaxStartups 100
LogLevel VERBOSE
"""

_LIGHTTPD = """
server.modules = ("mod_alias", "mod_cgi")
server.bind = "127.0.0.1"
server.port = {port}
server.document-root = "{folder}/www"
server.upload-dirs = ("{folder}")
server.errorlog = "{folder}/lighttpd.log"
alias.url = ("/{name}.git" => "{folder}/http", "/{name}" => "{folder}/http")
cgi.assign = ("" => "")
"""


class GitServer:
    """Serve one bare repository over ssh and http, for as long as the context lasts.

    With ``local_rules``, a push by local path counts as a push by `PERSON`; else it is unrestricted.
    """

    def __init__(self, bare_repository: Path, folder: Path, *, local_rules: bool = False) -> None:
        """Write every file; nothing is started yet. The folder may be missing."""
        self.repository = bare_repository.resolve()
        self.folder = folder.resolve()
        self._running: list[subprocess.Popen[bytes]] = []
        self._ports: dict[str, int] = {}
        (self.folder / "www").mkdir(parents=True)
        for name in ("authorized_keys", "tokens"):
            (self.folder / name).touch(0o600)
        _write_program(self.folder / "ssh", self._filled(_SSH_COMMAND))
        _write_program(self.folder / "http", self._filled(_HTTP_COMMAND))
        hooks = self.repository / "hooks"
        hooks.mkdir(exist_ok=True)
        _write_program(hooks / "update", _RULES.replace("@LOCAL@", PERSON if local_rules else ""))
        for name, value in _CONFIG.items():
            self._run("git", "-C", str(self.repository), "config", name, value)
        self._run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(self.folder / "host_key"))

    def __enter__(self) -> Self:
        """Start both servers; they answer when this returns."""
        try:
            self._start("ssh", self._sshd)
            self._start("http", self._lighttpd)
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End both servers."""
        self._stop()

    @property
    def ssh_url(self) -> str:
        """The repository for deploy keys."""
        return f"ssh://{_user()}@127.0.0.1:{self._ports['ssh']}/{NAME}.git"

    @property
    def known_hosts(self) -> str:
        """The line that a known_hosts file holds for the ssh server."""
        kind, key = (self.folder / "host_key.pub").read_text().split()[:2]
        return f"[127.0.0.1]:{self._ports['ssh']} {kind} {key}\n"

    @property
    def server_url(self) -> str:
        """What GITHUB_SERVER_URL is."""
        return f"http://127.0.0.1:{self._ports['http']}"

    @property
    def http_url(self) -> str:
        """The repository for tokens: GITHUB_SERVER_URL/GITHUB_REPOSITORY."""
        return f"{self.server_url}/{NAME}"

    def allow(self, name: str, public_key: str, *, write: bool) -> None:
        """Add a deploy key; its pushes have the name as identity."""
        command = f"{self.folder}/ssh {name} {'write' if write else 'read'}"
        with (self.folder / "authorized_keys").open("a") as file:
            file.write(f'command="{command}",restrict {public_key.strip()}\n')

    def token(self, name: str, *, write: bool, known: str | None = None) -> str:
        """Make a token, or take one that is known elsewhere; its pushes have the name as identity."""
        token = known if known is not None else f"ghs_{secrets.token_hex(18)}"
        with (self.folder / "tokens").open("a") as file:
            file.write(f"{token} {name} {'write' if write else 'read'}\n")
        return token

    def logs(self) -> str:
        """What both servers wrote, for the message of a failed test."""
        return "".join(path.read_text(errors="replace") for path in sorted(self.folder.glob("*.log")))

    def _sshd(self, port: int) -> list[str]:
        """Write the configuration for a port; returns the command."""
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # sshd started by root insists on it
        config = self.folder / "sshd_config"
        config.write_text(_SSHD.format(port=port, folder=self.folder, user=_user()))
        return [_program("sshd"), "-D", "-e", "-f", str(config)]

    def _lighttpd(self, port: int) -> list[str]:
        """Write the configuration for a port; returns the command."""
        config = self.folder / "lighttpd.conf"
        config.write_text(_LIGHTTPD.format(port=port, folder=self.folder, name=NAME))
        return [_program("lighttpd"), "-D", "-f", str(config)]

    def _start(self, name: str, command: Callable[[int], list[str]]) -> None:
        """Start a server on a free port; another process may take the port first, so more than once."""
        for _ in range(5):
            port = _free_port()
            arguments = command(port)
            with (self.folder / f"{name}.log").open("ab") as log:
                process = subprocess.Popen(
                    [_program("setpriv"), "--pdeathsig", "TERM", "--", *arguments],  # it ends if the tests are killed
                    cwd=self.folder,
                    env=self._variables(),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
            self._running.append(process)
            if _answers(process, port):
                self._ports[name] = port
                return
        raise AssertionError(f"{name}: the server does not start: {self.logs()}")

    def _stop(self) -> None:
        """End what was started, by its process number, and wait for it."""
        for process in self._running:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGTERM)  # a connection that just came holds sshd's port, too
        for process in self._running:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._running.clear()

    def _variables(self) -> dict[str, str]:
        """An environment that reaches nothing of the developer's own."""
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "LC_ALL": "C.UTF-8",
        }

    def _run(self, *command: str) -> None:
        """Run a program to its end."""
        done = subprocess.run(command, env=self._variables(), capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"

    def _filled(self, text: str) -> str:
        """A script with its places filled in."""
        values = {"@NAME@": NAME, "@REPOSITORY@": str(self.repository), "@FOLDER@": str(self.folder)}
        for place, value in values.items():
            text = text.replace(place, value)
        return text


def _answers(process: subprocess.Popen[bytes], port: int) -> bool:
    """Wait until a fresh server takes a connection; False: it ended instead."""
    until = time.monotonic() + 10
    while process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            assert time.monotonic() < until, "a server did not answer in ten seconds"
            time.sleep(0.005)
        else:
            return process.poll() is None
    return False


def _free_port() -> int:
    """A port that nobody listens on right now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _program(name: str) -> str:
    """The absolute path of a program; servers are often outside a person's PATH."""
    found = shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
    assert found, f"{name} is not installed: apt-get install openssh-server lighttpd util-linux"
    return found


def _user() -> str:
    """The account that the tests run as."""
    return pwd.getpwuid(os.getuid()).pw_name


def _write_program(path: Path, text: str) -> None:
    """Write an executable script."""
    path.write_text(text)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
