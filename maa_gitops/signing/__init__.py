"""SSH signatures: verify them in the process, make them with ``ssh-keygen``, and find the key to make them with.

It judges keys and bytes only. Which account holds a key, and what a signature is worth, is decided elsewhere; the
environment and the home folder come as arguments.
"""

from maa_gitops.signing.choosing import KeySources, signing_key
from maa_gitops.signing.keys import KEY_TYPES, canonical_key, fingerprint, key_problem
from maa_gitops.signing.making import Signer
from maa_gitops.signing.verifying import SIGNATURE_LIMIT, verify

__all__ = [
    "KEY_TYPES",
    "SIGNATURE_LIMIT",
    "KeySources",
    "Signer",
    "canonical_key",
    "fingerprint",
    "key_problem",
    "signing_key",
    "verify",
]
