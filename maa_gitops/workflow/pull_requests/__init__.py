"""Requests where people meet them on the forge: as pull requests, signed off by reviews, comments and dispatched runs.

Nothing on the forge decides anything: what people say there becomes signed events of the record, and the record is
judged as everywhere else.
"""
