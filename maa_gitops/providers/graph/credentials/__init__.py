"""Tokens for Microsoft Graph: from a target's options and the environment's variables to what is sent as bearer."""

from maa_gitops.providers.graph.credentials.choosing import KINDS, credential
from maa_gitops.providers.graph.credentials.granting import Credential

__all__ = ["KINDS", "Credential", "credential"]
