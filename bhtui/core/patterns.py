"""What may be wrong with a regular expression that a person has written."""

from __future__ import annotations

import re

INVALID = (re.error, ValueError, OverflowError, RecursionError)
"""What `re.compile` raises: for a mistake, a number of 5,000 digits, one that is too large, and for thousands of
parentheses in each other, as a page that was pasted by accident may have."""
