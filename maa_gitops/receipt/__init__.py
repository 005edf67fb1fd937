"""Receipts of apply runs and the object map, kept on the branch ``maa/applied/<target>``.

A receipt tells what was applied; it never spares anybody the judging of history. What is to be applied is decided in
``apply``; which commits are good, in ``history``.
"""

from maa_gitops.receipt.branch import (
    BRANCH_PREFIX,
    Applied,
    AppliedObject,
    Intent,
    objects_after,
    objects_file,
    read,
    read_intent,
    tree_of,
    tree_with_intent,
)
from maa_gitops.receipt.chain import (
    NAMESPACE,
    AppliedOperation,
    Context,
    Draft,
    ObjectOutcome,
    Receipt,
    extend,
    parse_receipt,
    plain_message,
    receipt_facts,
)
from maa_gitops.receipt.standing import request_outcomes

__all__ = [
    "BRANCH_PREFIX",
    "NAMESPACE",
    "Applied",
    "AppliedObject",
    "AppliedOperation",
    "Context",
    "Draft",
    "Intent",
    "ObjectOutcome",
    "Receipt",
    "extend",
    "objects_after",
    "objects_file",
    "parse_receipt",
    "plain_message",
    "read",
    "read_intent",
    "receipt_facts",
    "request_outcomes",
    "tree_of",
    "tree_with_intent",
]
