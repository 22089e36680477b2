"""Delivery: due copies -> MX -> verified TLS -> the intake.

In: due copies from the spool. Out: outcomes to the spool, log lines, destination facts.
Promise: not one byte of a message without verified TLS; at least once, nothing bounces.
"""

from tdc.node_agent.deliver.options import DeliveryOptions, DestinationFacts
from tdc.node_agent.deliver.scheduler import Delivery

__all__ = ["Delivery", "DeliveryOptions", "DestinationFacts"]
