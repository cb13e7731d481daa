"""What can be wrong with the landing folder, in words that say what to mend."""

from __future__ import annotations


class LandingError(Exception):
    """The landing folder does not fit the source's declaration; nothing was written.

    The message names source, folder, file and column, what was expected and what was found.
    """


class UnreadableFileError(Exception):
    """One file is damaged: it is quarantined as a file and the others go on. The message quotes no content."""


class UnsettledFileError(Exception):
    """One file changed or went away while it was read: it is left for the next intake."""
