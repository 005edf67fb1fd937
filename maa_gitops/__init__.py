"""Multi Admin Approval for a tenant kept as code."""

__version__ = "0.1.0"
