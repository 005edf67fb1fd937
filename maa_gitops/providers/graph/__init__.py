"""Microsoft Intune through Microsoft Graph, beta: the provider ``graph``."""
