"""The fleet as this manager sees it, and what is in force, resolved incrementally.

In: the store's range reads and watch. Out: Fleet and Effective values with their revision.
Promise: equal inputs share one resolve; a value that can't be read is refused alone.
"""
