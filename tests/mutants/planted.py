"""All planted faults."""

from __future__ import annotations

from tests.mutants import (
    in_access,
    in_agent,
    in_cli,
    in_delivery,
    in_etcd,
    in_filter,
    in_intakes,
    in_journal,
    in_levels,
    in_managers,
    in_next_hop,
    in_ports,
    in_repair,
    in_restart,
    in_smtp,
    in_spool,
    in_spool_file,
    in_store,
    in_suspensions,
    in_sync,
)

MUTANTS = (
    *in_levels.MUTANTS,
    *in_sync.MUTANTS,
    *in_smtp.MUTANTS,
    *in_filter.MUTANTS,
    *in_next_hop.MUTANTS,
    *in_journal.MUTANTS,
    *in_spool.MUTANTS,
    *in_spool_file.MUTANTS,
    *in_delivery.MUTANTS,
    *in_intakes.MUTANTS,
    *in_access.MUTANTS,
    *in_managers.MUTANTS,
    *in_ports.MUTANTS,
    *in_agent.MUTANTS,
    *in_restart.MUTANTS,
    *in_store.MUTANTS,
    *in_repair.MUTANTS,
    *in_etcd.MUTANTS,
    *in_cli.MUTANTS,
    *in_suspensions.MUTANTS,
)
