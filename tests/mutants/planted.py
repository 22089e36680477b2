"""All planted faults."""

from __future__ import annotations

from tests.mutants import in_levels, in_sync

MUTANTS = (*in_levels.MUTANTS, *in_sync.MUTANTS)
