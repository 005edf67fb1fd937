"""Other people's clients, run in an environment of their own (``.ci/oracles``) against the embedded Graph."""
