"""What is missing: in this clone, at the last good commit, and in the live repository on the forge.

Every check is made, whatever the others come to; nothing is changed, and nothing is decided.
"""
