"""One commit's files to a Tenant; from a path to its object; what is wrong with rules and resources."""

from maa_gitops.tenant.load import Loaded, load, load_tenant
from maa_gitops.tenant.paths import Kind, Place, document_path, place, record_path, split_record_path
from maa_gitops.tenant.resources import Rules, objects_in, read_resource, rules_of, validate

__all__ = [
    "Kind",
    "Loaded",
    "Place",
    "Rules",
    "document_path",
    "load",
    "load_tenant",
    "objects_in",
    "place",
    "read_resource",
    "record_path",
    "rules_of",
    "split_record_path",
    "validate",
]
