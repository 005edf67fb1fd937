#!/usr/bin/env bash
# Clones as actions/checkout does: the same remote, the same references, the same configuration left behind.
set -euo pipefail

place=$GITHUB_WORKSPACE${PLACE:+/$PLACE}
mkdir -p "$place"
cd "$place"
if [ -e .git ]; then
    rm -rf .git
fi
find . -mindepth 1 -delete
if [ "$REPOSITORY" != "$GITHUB_REPOSITORY" ] && [ -n "${MAA_TEST_TOOL:-}" ]; then
    cp -r "$MAA_TEST_TOOL/." . # another repository than the served one: a copy of the tool's
    exit 0
fi
git init -q -b main .
git config --local gc.auto 0

if [ -n "$SSH_KEY" ]; then
    git remote add origin "$MAA_TEST_SSH_URL"
    key=$(mktemp -p "$RUNNER_TEMP" key.XXXXXX) # made with 0600
    hosts=$(mktemp -p "$RUNNER_TEMP" known_hosts.XXXXXX)
    printf '%s\n' "${SSH_KEY%$'\n'}" >"$key"
    printf '%s\n%s\n' "$MAA_TEST_KNOWN_HOSTS" "$SSH_KNOWN_HOSTS" >"$hosts"
    strict='-o StrictHostKeyChecking=yes -o CheckHostIP=no'
    if [ "$SSH_STRICT" != true ]; then
        strict='-o StrictHostKeyChecking=no'
    fi
    setting=core.sshCommand
    value="\"$(command -v ssh)\" -i \"$key\" -o IdentitiesOnly=yes $strict -o \"UserKnownHostsFile=$hosts\""
else
    git remote add origin "$GITHUB_SERVER_URL/$REPOSITORY"
    setting=http.$GITHUB_SERVER_URL/.extraheader
    value="AUTHORIZATION: basic $(printf 'x-access-token:%s' "$TOKEN" | base64 -w0)"
fi
git config --local "$setting" "$value"
export GIT_TERMINAL_PROMPT=0

# Without ref the event's reference and commit are wanted, unless the repository is another one.
ref=$REF commit=
if [ -z "$ref" ] && [ "$REPOSITORY" = "$GITHUB_REPOSITORY" ]; then
    ref=$GITHUB_REF commit=$GITHUB_SHA
elif [[ $ref =~ ^[0-9a-fA-F]{40}$ ]]; then
    commit=$ref ref=
elif [ -z "$ref" ]; then
    ref=$(git ls-remote --symref origin HEAD | sed -n 's/^ref: \(.*\)\tHEAD$/\1/p')
fi
if [ -n "$ref" ] && [[ $ref != refs/* ]]; then
    if [ -n "$(git ls-remote origin "refs/heads/$ref")" ]; then
        ref=refs/heads/$ref
    else
        ref=refs/tags/$ref
    fi
fi

case $ref in
refs/heads/*) kept=refs/remotes/origin/${ref#refs/heads/} ;;
refs/pull/*) kept=refs/remotes/pull/${ref#refs/pull/} ;;
*) kept=$ref ;;
esac
wanted=${commit:-$ref}${kept:+:$kept}

if [ "$FETCH_DEPTH" = 0 ]; then
    git fetch -q --prune --no-tags --no-auto-gc origin '+refs/heads/*:refs/remotes/origin/*' '+refs/tags/*:refs/tags/*'
    # The event's commit need not be the branch's tip any more: the clone has what the event said.
    if [ -n "$kept" ] && { [ -z "$commit" ] || [ "$(git rev-parse -q --verify "$kept" || true)" != "$commit" ]; }; then
        git fetch -q --no-tags --no-auto-gc origin "+$wanted"
    elif [ -n "$commit" ] && ! git cat-file -e "$commit^{commit}" 2>/dev/null; then
        git fetch -q --no-tags --no-auto-gc origin "$commit"
    fi
else
    git fetch -q --no-tags --no-auto-gc --depth="$FETCH_DEPTH" origin "+$wanted"
fi

case $ref in
refs/heads/*) git checkout -q --force -B "${ref#refs/heads/}" "$kept" ;;
'') git checkout -q --force --detach "$commit" ;;
*) git checkout -q --force --detach "$kept" ;;
esac

if [ "$PERSIST_CREDENTIALS" != true ]; then
    git config --local --unset-all "$setting"
    if [ -n "$SSH_KEY" ]; then
        rm -f "$key" "$hosts"
    fi
fi
{
    echo "ref=${ref:-$commit}"
    echo "commit=$(git rev-parse HEAD)"
} >>"$GITHUB_OUTPUT"
