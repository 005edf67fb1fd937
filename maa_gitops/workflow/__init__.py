"""The life of a request: submit, decide, complete, put away; and reading it at any moment.

What an act needs to be true is judged in ``evaluate`` and ``history``; here it is carried out.
"""
