"""Bytes to plain data: strict YAML, JSON Schema, and where each problem is.

What documents mean together (who is in which group, what protects what) is for ``tenant`` to say.
"""

from maa_gitops.documents.schemas import check_schema, read_json_schema, schema_names, shipped_schema
from maa_gitops.documents.strict_yaml import Document, Place, Steps, read_yaml

__all__ = [
    "Document",
    "Place",
    "Steps",
    "check_schema",
    "read_json_schema",
    "read_yaml",
    "schema_names",
    "shipped_schema",
]
