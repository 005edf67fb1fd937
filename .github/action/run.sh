#!/usr/bin/env bash
# Run one maa command on a bare clone of its own: no file of the tenant repository is ever checked out. Keys and settings
# live in this step's environment and in files that are gone when it ends.
set -euo pipefail
umask 077
home="$(mktemp -d "${RUNNER_TEMP:-/tmp}/maa-XXXXXX")"
trap 'rm -rf "$home"' EXIT

# What git is told for this step: setting NAME VALUE.
setting() {
  local number="${GIT_CONFIG_COUNT:-0}"
  export "GIT_CONFIG_KEY_$number=$1" "GIT_CONFIG_VALUE_$number=$2" GIT_CONFIG_COUNT="$((number + 1))"
}

server="${GITHUB_SERVER_URL:-https://github.com}"
host="${server#*://}"
# No local path and no helper program can stand where a server is meant.
export GIT_ALLOW_PROTOCOL="ssh:${server%%://*}" GIT_TERMINAL_PROMPT=0
case "$MAA_SSH_URL" in
"" | ssh://*) ;;
*)
  echo "::error::ssh-url must begin with ssh://"
  exit 2
  ;;
esac
if [[ -n "$MAA_TRUSTED_START" ]]; then
  setting maa.trustedStart "$MAA_TRUSTED_START"
fi
if [[ -n "$MAA_PUSH_KEY" ]]; then
  printf '%s\n' "$MAA_PUSH_KEY" | tr -d '\r' >"$home/push-key"
  known="$MAA_ACTION_PATH/.github/action/known_hosts"
  if [[ -n "$MAA_KNOWN_HOSTS" ]]; then
    printf '%s\n' "$MAA_KNOWN_HOSTS" >"$home/known_hosts"
    known="$home/known_hosts"
  fi
  export GIT_SSH_COMMAND="ssh -F none -i '$home/push-key' -o IdentitiesOnly=yes -o BatchMode=yes \
-o StrictHostKeyChecking=yes -o UserKnownHostsFile='$known'"
  setting "url.${MAA_SSH_URL:-ssh://git@$host/}.insteadOf" "$server/"
elif [[ -n "$GITHUB_TOKEN" ]]; then
  basic="$(printf 'x-access-token:%s' "$GITHUB_TOKEN" | base64 | tr -d '\n')"
  echo "::add-mask::$basic"
  setting "http.$server/.extraheader" "AUTHORIZATION: basic $basic"
fi
unset MAA_PUSH_KEY

# Who commits the records: the commit is only transport, and its author is nobody's account.
export GIT_AUTHOR_NAME=maa-gitops GIT_AUTHOR_EMAIL=maa-gitops@users.noreply.github.com
export GIT_COMMITTER_NAME=maa-gitops GIT_COMMITTER_EMAIL=maa-gitops@users.noreply.github.com

env -u MAA_SIGNING_KEY git clone --quiet --bare --no-tags -- "$server/$GITHUB_REPOSITORY" "$home/tenant.git"
read -ra words <<<"$MAA_COMMAND"
python3 -I "$MAA_ACTION_PATH/.github/action/maa.py" -C "$home/tenant.git" "${words[@]}"
